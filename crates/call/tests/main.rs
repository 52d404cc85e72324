//! The calls of the product in virtual time: the whole switch with scripted phones.

mod day;
mod faults;
mod forks;
mod limits;
mod phones;
mod queues;
mod races;
mod recordings;
mod registration;
mod reload;
mod scene;
mod sessions;
mod weather;
