//! A lake of sealed Parquet: see the README beside it.

#![allow(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use bulla_lake::{
    LAKE, QUERIES, Result, connect, declare, open_from_env, query, run_executor, run_scheduler,
    session, write,
};
use clap::{Parser, Subcommand};

/// What Ballista gives its threads: plans are trees that it walks by recursion.
const STACK_LEN: usize = 32 << 20;

/// Parquet that is sealed at rest with the key `lake` of bulla.toml (BULLA_CONFIG), and SQL over it.
#[derive(Parser)]
#[command(name = "bulla-lake", arg_required_else_help = true)]
struct Cli {
    /// The directory that the sealed files are in
    #[arg(long, value_name = "DIR", default_value = "lake", global = true)]
    store: PathBuf,

    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the tables `customer`, `lineitem` and `orders` of TPC-H
    Write {
        /// How large they are; 1 is 6 million rows of lineitem
        #[arg(long, default_value_t = 0.1)]
        scale: f64,

        /// How many files each has
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(i32).range(1..=1000))]
        parts: i32,
    },
    /// Query them, in this process or by a cluster
    Query {
        /// SQL, or the number of a query of TPC-H: 1, 3 or 6
        sql: String,

        /// The port of a cluster's scheduler
        #[arg(long, value_name = "PORT")]
        scheduler: Option<u16>,
    },
    /// Schedule queries among executors
    Scheduler {
        /// The port on loopback; 0 for any that is free
        #[arg(long, default_value_t = 50050)]
        port: u16,
    },
    /// Work for a scheduler
    Executor {
        /// The port of the scheduler
        #[arg(long, value_name = "PORT", default_value_t = 50050)]
        scheduler: u16,

        /// The port on loopback that results are fetched from
        #[arg(long, default_value_t = 50051)]
        port: u16,

        /// The port on loopback that tasks are sent to
        #[arg(long, default_value_t = 50052)]
        grpc_port: u16,

        /// Where what passes between the stages of a query is kept, in plain
        #[arg(long, value_name = "DIR")]
        work_dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().thread_stack_size(STACK_LEN).build();
    match runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(cli))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulla-lake: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let store = open_from_env(&cli.store).await?;
    match cli.task {
        Task::Write { scale, parts } => {
            write(&session(store)?, scale, parts).await?;
            tell(&format!("sealed tables are below {LAKE}, which is {}", cli.store.display()))
        }
        Task::Query { sql, scheduler } => {
            let numbered = QUERIES.iter().find(|(number, _)| *number == sql);
            let sql = numbered.map_or(&*sql, |(_, sql)| *sql);
            let session = match scheduler {
                Some(port) => connect(store, port).await?,
                None => session(store)?,
            };
            declare(&session).await?;
            tell(&query(&session, sql).await?)
        }
        Task::Scheduler { port } => run_scheduler(store, port).await,
        Task::Executor { scheduler, port, grpc_port, work_dir } => {
            run_executor(store, scheduler, [port, grpc_port], &work_dir).await
        }
    }
}

/// Prints a line. Who reads no more has had enough.
fn tell(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
