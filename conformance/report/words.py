"""Words: what the reports themselves say, in each language. English texts are their own keys; what the run has seen stays as it is."""

from spec.catalogue import Language

ZH: dict[str, str] = {
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
    "({seconds:.1f} s, exit status {status})": "（{seconds:.1f} 秒，退出状态 {status}）",
    "({count} of {all} requirements were not judged)": "（{all} 项要求中有 {count} 项未判定）",
    # Records
    "Conformance": "一致性",
    "conformance": "一致性",
    "core": "core",
    "robust": "robust",
    "no claim": "无结论",
    "core is established": "达到 core",
    "robust is established": "达到 robust",
    "not established": "未达到",
    "incomplete": "不完整",
    "no claim: the record is incomplete, for the run did not come to its end": "无结论：记录不完整，因为运行没有到达终点",
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


def said(text: str, language: Language) -> str:
    """A text of a report's own in a language. Raises KeyError for one that nobody has translated."""
    return text if language is Language.EN else ZH[text]
