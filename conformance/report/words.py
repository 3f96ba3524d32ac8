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
