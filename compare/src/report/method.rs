//! How it was measured, in words, and on what machine.

use crate::results::Results;

/// What a reader must know before the figures.
pub fn paragraphs(results: &Results) -> Vec<String> {
    let guests = match results.machine.accelerator.as_str() {
        "tcg" => {
            "This machine offers no KVM: QEMU translates every instruction of its guests, which makes them \
                  several times slower than the same guests on the processor itself. Only rows that run alike \
                  are like with like; every other comparison is labelled with what it is."
        }
        _ => "QEMU's guests run on the processor itself (KVM).",
    };
    let same = "The same services run on every substrate: as Hermit unikernels under QEMU, in a Linux machine \
                under the same QEMU command (cloud kernel, initial file system with the static program), in \
                Docker containers built from nothing but the static program, and as processes of this host. \
                The original application runs as its own processes, where it is there.";
    let order = format!(
        "Substrates alternate within each round ({}), and begin with another one each time, so that what a \
         busy machine does to one it does to all. Figures are medians with the least and the largest value; a \
         ratio is the geometric mean over pairs of runs of the same round, with its 95% interval (Student's t \
         of the logarithms). A sample with an error or an answer other than expected does not count, and is \
         listed.",
        match results.rounds {
            1 => "there was one".to_owned(),
            rounds => format!("there were {rounds}"),
        }
    );
    vec![same.to_owned(), guests.to_owned(), order]
}

/// The machine, as names with values.
pub fn machine(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let or_none = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
    vec![
        ("Processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("Memory", format!("{} MiB", machine.memory_mib)),
        ("System", format!("{}, kernel {}", machine.system, machine.kernel)),
        ("QEMU", or_none(&machine.qemu)),
        ("Guests run by", machine.accelerator.to_uppercase()),
        ("Docker", or_none(&machine.docker)),
        ("Load generators", machine.generators.join(", ")),
    ]
}
