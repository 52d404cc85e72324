//! The calls of the product in virtual time: the whole switch with scripted phones.

mod day;
mod forks;
mod phones;
mod queues;
mod races;
mod recordings;
mod reload;
mod scene;
mod sessions;
