//! The top of the page: the answer in a sentence, then in figures that can be read from afar.

use maud::{Markup, html};

use super::super::factor::{Factor, Verdict};
use super::super::headline::{self, Card, Duel};
use super::super::{INCOMPLETE, number};
use crate::results::Results;

/// Title, answer, and what it is from.
pub fn header(results: &Results) -> Markup {
    let machine = &results.machine;
    html! {
        h1 { "Why not a container?" }
        @for sentence in headline::answer(results) { p.answer { (sentence) } }
        p.facts {
            (results.begun.replace('T', " ").trim_end_matches('Z')) " UTC · commit " (results.commit) " · "
            (machine.processor) ", " (machine.cores) " cores · guests run by "
            (machine.accelerator.to_uppercase()) " · " (results.rounds) (if results.rounds == 1 { " round" } else { " rounds" })
            @if results.quick { " · the short run" }
        }
        @if !results.complete {
            p.warning role="note" {
                (INCOMPLETE)
            }
        }
    }
}

/// Unikernel against others, each pair with its cards.
pub fn duels(results: &Results) -> Markup {
    html! {
        @for (index, duel) in headline::duels(results).iter().enumerate() {
            section.duel.unlike[!duel.alike] id=[(index == 0).then_some("answer")] {
                h2 {
                    (duel.unikernel) " against " (duel.other) " "
                    span.label.unlike[!duel.alike] { (duel.pairing) }
                }
                @if let Some(missing) = &duel.missing {
                    p { (missing) }
                }
                @if duel.missing.is_none() {
                    div.cards { @for card in &duel.cards { (card_of(duel, card)) } }
                }
            }
        }
    }
}

fn card_of(duel: &Duel, card: &Card) -> Markup {
    html! {
        article.card {
            h3 { (card.title) }
            @match (card.verdict(), &card.factor) {
                (Some((times, word)), Some(factor)) => (big(factor, &times, word)),
                _ => p.big.none { "no ratio: one of them has no figure" },
            }
            dl.versus {
                dt { "Unikernel" } dd { (card.own.as_deref().unwrap_or("–")) }
                dt { (duel.other) } dd { (card.other.as_deref().unwrap_or("–")) }
            }
            @if let Some((goal, reached)) = &card.goal {
                @match reached {
                    Some(true) => p.goal.yes { "✓ goal: " (goal) },
                    Some(false) => p.goal.no { "✗ goal: " (goal) },
                    None => p.goal.faint { "goal: " (goal) ", not measured" },
                }
            }
        }
    }
}

fn big(factor: &Factor, times: &str, word: &str) -> Markup {
    let verdict = factor.verdict();
    let size = factor.size();
    html! {
        p.big.better[verdict == Verdict::Better].worse[verdict == Verdict::Worse] { (times) small { (word) } }
        p.faint {
            @if size.low.is_some() { "95%: " (number::interval(&size)) ", " (size.pairs) " pairs" }
            @else { "one pair: no interval" }
        }
    }
}
