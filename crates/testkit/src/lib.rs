//! Virtual time and network, scripted phones, message ladders.
