//! The golden table: strategy x what agents do -> who is offered the next callers.

use std::fmt::Write;

use queue::{Failure, Reach};

use crate::desk::{Desk, STRATEGIES, plan, queue};

/// What happens before the callers come. The members are `ann bob cid dan` at the places that the case names.
struct Case {
    name: &'static str,
    members: &'static str,
    before: fn(&mut Desk),
}

const CASES: [Case; 11] = [
    Case {
        name: "all free",
        members: "dan@1.1 cid@1.2 bob@1.3 ann@1.4",
        before: |_| {},
    },
    Case {
        name: "equal positions: by name",
        members: "dan@1.1 cid@1.1 bob@1.1 ann@1.1",
        before: |_| {},
    },
    Case {
        name: "two levels",
        members: "ann@2.1 bob@2.2 cid@1.1 dan@1.2",
        before: |_| {},
    },
    Case {
        name: "bob busy elsewhere, cid unregistered, dan logged out",
        members: "ann bob cid dan",
        before: |desk| {
            desk.reach("bob", Reach::Busy);
            desk.reach("cid", Reach::Unregistered);
            desk.log_out("dan");
        },
    },
    Case {
        name: "the lower level rests after a rejection",
        members: "ann@1.1 bob@2.1 cid@2.2 dan@3.1",
        before: |desk| {
            desk.log_out("bob");
            desk.log_out("cid");
            desk.log_out("dan");
            let caller = desk.join("support");
            desk.fail("ann", Failure::Rejected);
            desk.leave(caller);
            desk.log_in("bob");
            desk.log_in("cid");
            desk.log_in("dan");
        },
    },
    Case {
        name: "conversations ended: cid at 10, ann at 20, bob at 30; dan had none",
        members: "ann bob cid dan",
        before: |desk| {
            desk.log_out("dan");
            for (end, agent, others) in [
                (10.0, "cid", ["ann", "bob"]),
                (20.0, "ann", ["bob", "cid"]),
                (30.0, "bob", ["ann", "cid"]),
            ] {
                desk.log_all_out(&others);
                let caller = desk.join("support");
                desk.answer(agent);
                desk.log_all_in(&others);
                desk.at(end).release(caller);
            }
            desk.at(40.0).log_in("dan");
        },
    },
    Case {
        name: "bob was offered last",
        members: "ann bob cid dan",
        before: |desk| {
            desk.log_out("ann");
            let caller = desk.join("support");
            desk.leave(caller);
            desk.log_in("ann");
        },
    },
    Case {
        name: "ann of level 1 and cid of level 2 were offered last",
        members: "ann@1.1 bob@1.2 cid@2.1 dan@2.2",
        before: |desk| {
            let caller = desk.join("support");
            desk.leave(caller);
            desk.log_all_out(&["ann", "bob"]);
            let caller = desk.join("support");
            desk.leave(caller);
            desk.log_all_in(&["ann", "bob"]);
        },
    },
    Case {
        name: "ann talks, bob talked until 6, the others logged in at 7",
        members: "ann bob cid dan",
        before: |desk| {
            desk.log_all_out(&["bob", "cid", "dan"]);
            desk.join("support");
            desk.answer("ann");
            desk.log_in("bob");
            let caller = desk.at(5.0).join("support");
            desk.answer("bob");
            desk.at(6.0).release(caller);
            desk.at(7.0);
            desk.log_all_in(&["cid", "dan"]);
        },
    },
    Case {
        name: "conversations: ann 2 of 10 s, bob 1 of 30 s, cid 3 of 1 s, dan none",
        members: "ann bob cid dan",
        before: |desk| {
            desk.log_all_out(&["ann", "bob", "cid", "dan"]);
            let mut end = 0.0;
            for (agent, calls, length) in [("ann", 2, 10.0), ("bob", 1, 30.0), ("cid", 3, 1.0)] {
                desk.log_in(agent);
                for _ in 0..calls {
                    let caller = desk.join("support");
                    desk.answer(agent);
                    end += length;
                    desk.at(end).release(caller);
                }
                desk.log_out(agent);
            }
            desk.log_all_in(&["ann", "bob", "cid", "dan"]);
        },
    },
    Case {
        name: "cid served the customer before",
        members: "ann bob cid dan",
        before: |desk| {
            desk.log_all_out(&["ann", "bob", "dan"]);
            let caller = desk.join_as("support", "+1");
            desk.answer("cid");
            desk.release(caller);
            desk.log_all_in(&["ann", "bob", "dan"]);
        },
    },
];

#[test]
fn orders_are_as_the_golden_table_says() {
    let mut table = String::new();
    for case in CASES {
        writeln!(table, "{}\n    members: {}", case.name, case.members).unwrap();
        for strategy in STRATEGIES {
            let mut desk = Desk::new(plan(&[queue("support", strategy, case.members)]));
            (case.before)(&mut desk);
            desk.heard();
            let offers = [(); 4].map(|()| {
                desk.join_as("support", "+1");
                let rings = desk.heard();
                let agents = rings.iter().filter_map(|ring| ring.split(' ').next_back());
                let agents: Vec<&str> = agents.collect();
                if agents.is_empty() {
                    "-".into()
                } else {
                    agents.join("+")
                }
            });
            let strategy = format!("{strategy:?}");
            writeln!(table, "    {strategy:<24} -> {}", offers.join(", ")).unwrap();
        }
    }
    assert_eq!(table, include_str!("golden/orders.txt"), "\n{table}");
}
