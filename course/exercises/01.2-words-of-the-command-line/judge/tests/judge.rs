//! Judges by lines that monitors and engines really write.

use exercise_01_2::setting;

/// What must be found, and why it is asked.
fn check(line: &str, name: &str, expected: Option<&str>, why: &str) {
    let came = setting(line, name);
    assert!(came.as_deref() == expected, "{name} of the line `{line}`: expected {expected:?}; came {came:?}: {why}");
}

#[test]
fn a1_a_word_sets_a_name() {
    let line = "-freq 2596 env=INSTANCE=vote-1 env=IP=10.0.2.15/24 reboot=k";
    check(line, "INSTANCE", Some("vote-1"), "a word `env=NAME=VALUE` sets NAME");
    check(line, "IP", Some("10.0.2.15/24"), "a word `env=NAME=VALUE` sets NAME");
    check(line, "reboot", None, "a word without `env=` means nothing here");
    check("", "IP", None, "there is no word");
}

#[test]
fn a2_names_are_whole() {
    let line = "env=INSTANCE=a env=INSTANCE_ID=7 env=X=env=Y=1";
    check(line, "INSTANCE", Some("a"), "is INSTANCE_ID the same name as INSTANCE?");
    check(line, "X", Some("env=Y=1"), "a value may contain `=`");
    check(line, "Y", None, "what is in a value is no word");
}

#[test]
fn b_the_last_word_counts() {
    check("env=A=1 env=B=2 env=A=3", "A", Some("3"), "the last word for a name counts");
    check("env=A=1 env=A=", "A", None, "an empty value unsets what came before");
    check("env=A= env=A=2", "A", Some("2"), "the last word for a name counts, whatever came before");
}

#[test]
fn c_quotes_keep_blanks() {
    check("'env=OPTION_A=Cats & Dogs' env=B=1", "OPTION_A", Some("Cats & Dogs"), "quotes keep blanks in a word");
    check("env=OPTION_A=\"Cats & Dogs\"", "OPTION_A", Some("Cats & Dogs"), "a quote may begin within a word");
    check("env=A=\"it's\" env=B=2", "A", Some("it's"), "a single quote within double ones is an ordinary character");
    check("env=A=1\tenv=B=2\nenv=C=3", "C", Some("3"), "tabs and line ends are blanks");
}

#[test]
fn d_an_open_quote_is_a_character() {
    check("env=OPTION_A=it's env=B=2", "OPTION_A", Some("it's"), "a quote that is left open stands for itself");
    check("env=OPTION_A=it's env=B=2", "B", Some("2"), "a quote that is left open stands for itself");
}

#[test]
fn e_any_text_is_taken() {
    for line in ["env=", "env==", "env", "'", "\"'", "env=ä=ö 'ü", " \t "] {
        let came = setting(line, "");
        assert!(came.is_none(), "the empty name of the line `{line}`: expected none; came {came:?}");
    }
    check("env=ä=ö", "ä", Some("ö"), "names and values may be any text");
}
