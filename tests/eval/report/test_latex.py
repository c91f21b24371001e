from eval.report.latex import escape, tabular


def test_special_characters_are_printed_as_they_are():
    assert escape("a_b & 50% #1 $x$ {y} ~^\\") == (
        r"a\_b \& 50\% \#1 \$x\$ \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert escape("two\nlines") == "two lines"


def test_a_table_by_hand():
    assert tabular(("Arm", "P"), [["ir_1", "0.5"]]) == (
        "\\begin{tabular}{lr}\n\\toprule\nArm & P \\\\\n\\midrule\nir\\_1 & 0.5 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n"
    )
