//! The calls of the product in virtual time: the whole switch with scripted phones.

mod day;
mod phones;
mod queues;
mod recordings;
mod reload;
