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

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use cli::Command;

/// The exit code for a command line that is not understood, as shells and other programs use it.
const MISUSE: u8 = 2;

/// Prints what a command has to tell, or why it has nothing.
fn tell(command: &str, told: Result<String, impl Error + 'static>) -> ExitCode {
    let told = told.map_err(Box::<dyn Error>::from);
    match told.and_then(|text| Ok(io::stdout().write_all(text.as_bytes())?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringmaster {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(code) = sounds::apart::serve(&arguments) {
        return code;
    }
    match cli::parse(arguments) {
        Ok(Command::Check(dir)) => check::check(&dir),
        Ok(Command::Init(init)) => init::init(&init),
        Ok(Command::Run(dir)) => run::run(&dir),
        Ok(Command::Demo { once }) => demo::demo(once),
        Ok(Command::Trace(options)) => trace::command::trace(&options),
        Ok(Command::Why(question)) => trace::why::why(&question),
        Ok(Command::Do(wanted)) => trace::orders::carry_out(&wanted),
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
