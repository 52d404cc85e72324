//! The queue engine in virtual time.
//!
//! `cases.rs` has the cases of other projects and the faults of other engines (Asterisk's testsuite, Wazo's acceptance tests, issues),
//! each named for its source. Those that say nothing about this crate as it is, and why:
//!
//! | case | reason |
//! | --- | --- |
//! | ast_q02, the wanted positions; ast_q08 queue_penalty_outside_range | no caller chooses its position or its levels |
//! | ast_q03 set_penalty | levels change by reload only: `a_new_level_counts_at_once` |
//! | ast_q09 gosub_test, ast_q10 transfer_callee, ast_q12 member_forward, ast_q16 redirect, ast_q17 and ast_q18 transfers, asterisk#313 | what a leg does after the answer, or instead of it, is call control: its tests `transfer`, `attended` and `forward` |
//! | ast_q14, the part without shared_lastcall | wrap-up is the agent's, in all its queues |
//! | ast_c1 to ast_c4 | call records and accounts are call control's |
//! | ast_a1, ast_a3 to ast_a5 | log-in by phone with an acknowledgement is call control's |
//! | Wazo JOINEMPTY, CLOSED | there are no rules for empty queues and no schedules yet |
//! | Wazo COMPLETECALLER, COMPLETEAGENT | who hung up is call control's; here both are `handle_release` |
//! | Wazo statistics, corrupt log lines | the queue log and its report are the switch's (`switch::report`) |
//! | Wazo skills, an upper limit (`french 0<x<100`) | an agent who can do more is not worse; who should not take such calls has no such skill |
//! | Wazo log-in by function and toggle keys | feature codes are call control's |
//! | asterisk#210 and relatives, rtpengine, kamailio#2081, rustpbx#77, mikopbx#1000 | no lock, no port, no look-up, no record here |

mod against_model;
mod agents;
mod at_once;
mod callers;
mod cases;
mod day;
mod desk;
mod event;
mod model;
mod notes;
mod orders;
mod reload;
mod sentences;
mod skills;
mod tiers;
mod watch;
