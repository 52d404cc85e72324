//! The calls of the product in virtual time: the whole switch with scripted phones.

mod agents;
mod attended;
mod chaos;
mod day;
mod faults;
mod forks;
mod forward;
mod limits;
mod logs;
mod phones;
mod pickup;
mod provisional;
mod queues;
mod races;
mod recordings;
mod records;
mod registration;
mod reload;
mod rfc3665;
mod scene;
mod sessions;
mod timers;
mod transfer;
mod trunks;
mod watch;
mod weather;
