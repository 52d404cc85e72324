//! The golden time line: tier rules x numbering of levels x what the first level does -> when each agent is rung.

use std::fmt::Write;

use queue::{Strategy, TierRules};

use crate::desk::{Desk, plan, queue, seconds, with_agents};

const WAIT: f64 = 10.0;

const NUMBERINGS: [(&str, &str); 2] = [
    ("from 1", "ann@1 bob@2 cid@3"),
    ("from 0", "ann@0 bob@1 cid@2"),
];

type Deed = fn(&mut Desk);

/// What ann does before the caller comes.
const FIRST_LEVELS: [(&str, Deed); 3] = [
    ("free", |_| {}),
    ("talks", |desk| {
        desk.join("front");
        desk.answer("ann");
    }),
    ("logged out", |desk| {
        desk.log_out("ann");
    }),
];

fn time_line(
    strategy: Strategy,
    rules: Option<TierRules>,
    members: &str,
    first: fn(&mut Desk),
) -> String {
    let mut support = queue("support", strategy, members);
    support.tier_rules = rules;
    let front = queue("front", strategy, "ann");
    let mut desk = Desk::new(with_agents(plan(&[support, front]), |agent| {
        agent.call_timeout = seconds(5.0);
        agent.no_answer_delay_time = seconds(1_000.0);
    }));
    first(&mut desk);
    desk.heard();
    desk.join("support");
    let mut line = Vec::new();
    for moment in 0..60 {
        for word in desk.at(f64::from(moment)).heard() {
            if let Some((_, agent)) = word.split_once(" rings ") {
                line.push(format!("{agent} {moment}"));
            }
        }
    }
    if line.is_empty() {
        line.push("nobody".to_owned());
    }
    line.join(", ")
}

#[test]
fn levels_open_as_the_golden_time_line_says() {
    let mut table = String::new();
    for (multiply_level, no_agent_no_wait) in
        [(true, true), (false, true), (true, false), (false, false)]
    {
        let rules = TierRules {
            wait: seconds(WAIT),
            multiply_level,
            no_agent_no_wait,
        };
        writeln!(
            table,
            "wait 10, multiply_level {multiply_level}, no_agent_no_wait {no_agent_no_wait}"
        )
        .unwrap();
        for strategy in [Strategy::RingAll, Strategy::TopDown] {
            for (numbering, members) in NUMBERINGS {
                for (what, first) in FIRST_LEVELS {
                    let line = time_line(strategy, Some(rules), members, first);
                    let strategy = format!("{strategy:?}");
                    writeln!(
                        table,
                        "    {strategy:<8} levels {numbering}, the first {what:<10} -> {line}"
                    )
                    .unwrap();
                }
            }
        }
    }
    writeln!(table, "no rules").unwrap();
    for (what, first) in FIRST_LEVELS {
        let line = time_line(Strategy::RingAll, None, NUMBERINGS[0].1, first);
        writeln!(
            table,
            "    RingAll  levels from 1, the first {what:<10} -> {line}"
        )
        .unwrap();
    }
    assert_eq!(table, include_str!("golden/tiers.txt"), "\n{table}");
}
