"""Words: what the reports themselves say, in each language. English texts are their own keys; what the run has seen stays as it is."""

from conformance.claim import ENGLISH, Phrases
from spec.catalogue import Language

INCOMPLETE = "no claim: the record is incomplete, for the run did not come to its end"

ZH: dict[str, str] = {
    # The claim of a record that was cut short, and what the words of a verdict mean, for a legend: the words themselves stay.
    INCOMPLETE: "不作声明：记录不完整，运行没有进行到最后",
    "PASS": "通过",
    "FAIL": "未通过",
    "INCONCLUSIVE": "无法判定",
    "ERROR": "测试自身出错",
    "OBSERVED": "仅观察",
    "MUST": "必须",
    "SHOULD": "应当",
    "MAY": "可以",
    # `conformance explain`
    "Why it matters: {}": "为何重要：{}",
    "Usual cause of failing: {}": "未通过的常见原因：{}",
    "To mend it: {}": "如何修复：{}",
    "Seen through: {}. Written in {}.": "观察通道：{}。出处：{}。",
    "Check it alone: {}": "单独检查：{}",
    # The page of a run
    "target": "被测服务",
    "services": "依赖服务",
    "containers": "容器",
    "none": "无",
    "unseen": "无法观察",
    "{ids}; below is what to pass": "{ids}；所需参数见下文",
    "seed": "随机种子",
    "{passed:>2} of {judged:>2} passed": "{judged:>2} 项中 {passed:>2} 项通过",
    "expected": "期望",
    "got": "实际",
    "evidence": "证据",
    "reproduce": "复现",
    "look at": "请检查",
    "why": "为何重要",
    "to mend it": "如何修复",
    "to judge": "如需判定",
    "because": "原因",
    "seen": "观察到",
    "known": "已知",
    " (until {day})": "（至 {day}）",
    "fingerprint": "指纹",
    "({seconds:.1f} s, exit status {status})": "（{seconds:.1f} 秒，退出状态 {status}）",
    "({count} of {all} requirements were not judged)": "（{all} 项要求中有 {count} 项未判定）",
    # Records
    "Conformance": "一致性",
    "conformance": "一致性",
    "core": "core",
    "robust": "robust",
    "no claim": "不作声明",
    "core is established": "达到 core",
    "robust is established": "达到 robust",
    "not established": "未达到",
    "incomplete": "不完整",
    "not judged": "未判定",
    "not selected": "未选择",
    "section": "章节",
    "other": "其他",
    "suite": "套件版本",
    "took": "用时",
    "records": "份记录",
    "what differs": "不同之处",
    "Every requirement has the same verdict in each.": "每项要求在各记录中的判定都相同。",
    "{left} more are left out here, for want of room; {command} shows them all.": "因篇幅所限，此处省略 {left} 项；运行 {command} 可查看全部。",
    "{left} more records are left out here, for want of room.": "因篇幅所限，此处省略 {left} 份记录。",
    "{left} more rows are left out here.": "此处省略 {left} 行。",
    "{count} more": "另有 {count} 项",
    # From one record to another
    "old": "旧记录",
    "new": "新记录",
    "worse": "变差",
    "not worse": "没有变差",
    "a claim is lost": "失去结论",
    "newly failing": "新出现的失败",
    "no longer judged": "不再判定",
    "still failing differently": "仍失败但表现不同",
    "still failing": "仍失败",
    "fixed": "已修复",
    "newly judged": "新判定",
    "Nothing of what was judged has changed.": "已判定的要求没有任何变化。",
}

CLAIMS = {
    Language.EN: ENGLISH,
    Language.ZH: Phrases(
        broken="不作声明：本套件或其测试环境出错，本次运行说明不了任何问题",
        partial="不作声明：{catalogued} 条要求中只选择了 {selected} 条",
        not_counted="{known}不计入",
        established="{claim} 成立：{passed}通过",
        but_for="{claim} 除{known}之外成立：{passed}通过",
        every="{total} 条 {level} 全部",
        others="其余 {total} 条 {level} ",
        one_known=" 1 条已知未通过项（{names}）",
        many_known=" {count} 条已知未通过项（{names}）",
        no_core="core 不成立：{total} 条 {level} 中，{missed}",
        no_robust="robust 不成立：{total} 条 {level} 中，{missed}",
        failed="{count} 条（{names}）未通过",
        unjudged="{count} 条（{names}）无法判定",
        as_known="{count} 条（{names}）为已知的未通过",
        together="，",
        then="；",
        comma="、",
        more=" 等",
    ),
}


def said(text: str, language: Language) -> str:
    """A text of a report's own in a language. Raises KeyError for one that nobody has translated."""
    return text if language is Language.EN else ZH[text]
