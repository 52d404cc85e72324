//! The `ringmaster` binary.

mod certificate;
mod check;
mod cli;
mod config;
mod control;
mod demo;
mod folder;
mod init;
mod journal;
mod log;
mod peers;
mod queue_log;
mod recorder;
mod records;
mod report;
mod run;
mod service;
mod simulate;
mod sounds;
mod trace;

use std::process::ExitCode;

use cli::Command;

/// The exit code for a command line that is not understood, as shells and other programs use it.
const MISUSE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Command::Check(dir)) => check::check(&dir),
        Ok(Command::Init(init)) => init::init(&init),
        Ok(Command::Run(dir)) => run::run(&dir),
        Ok(Command::Demo { once }) => demo::demo(once),
        Ok(Command::Trace(options)) => trace::command::trace(&options),
        Ok(Command::Why(question)) => trace::why::why(&question),
        Ok(Command::Report(options)) => report::report(&options),
        Ok(Command::Simulate(options)) => simulate::simulate(&options),
        Ok(Command::Help) => {
            print!("{}", cli::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("ringmaster {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(cli::Misuse::NoCommand) => {
            eprint!("{}", cli::HELP);
            ExitCode::from(MISUSE)
        }
        Err(misuse) => {
            eprintln!("ringmaster: {misuse}\n`ringmaster help` lists the commands");
            ExitCode::from(MISUSE)
        }
    }
}
