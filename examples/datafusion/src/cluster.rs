//! The same store in the processes of a cluster of Ballista: a scheduler, which plans and so reads footers, executors, which
//! read what they scan, and clients. Nothing of Ballista is changed: each process is given a runtime that has the store.

use std::{path::Path, sync::Arc};

use ballista::prelude::SessionContextExt as _;
use ballista_core::extension::SessionConfigExt as _;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::{
    cluster::BallistaCluster,
    config::SchedulerConfig,
    scheduler_process::{create_scheduler, start_grpc_service_with_listener},
};
use datafusion::{
    execution::{
        SessionState, SessionStateBuilder,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    prelude::{SessionConfig, SessionContext},
};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;

use crate::{EngineStore, Result, tables::runtime};

const HOST: &str = "127.0.0.1";

/// Schedules what clients ask for among the executors, until the process ends. Says where it is reached as soon as it is.
///
/// # Errors
/// When the port is taken.
#[allow(clippy::print_stdout, reason = "whoever starts it waits for the line")]
pub async fn run_scheduler(store: EngineStore, port: u16) -> Result<()> {
    let runtime = runtime(store, RuntimeEnv::default())?;
    let listener = TcpListener::bind((HOST, port)).await?;
    let port = listener.local_addr()?.port();
    let config = SchedulerConfig {
        external_host: HOST.to_owned(),
        bind_host: HOST.to_owned(),
        bind_port: port,
        override_config_producer: Some(Arc::new(SessionConfig::new_with_ballista)),
        override_session_builder: Some(Arc::new(move |config| Ok(state(config, &runtime)))),
        ..SchedulerConfig::default()
    };
    let cluster = BallistaCluster::new_from_config(&config).await?;
    let scheduler =
        create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config)).await?;
    println!("scheduler on {HOST}:{port}");
    Ok(start_grpc_service_with_listener(listener, scheduler).await?)
}

/// Works for a scheduler, until the process is told to end.
///
/// What passes between the stages of a query is kept in `work_dir`, **in plain**, as is what a query spills. That directory
/// belongs on a volume that is encrypted itself, or in memory.
///
/// # Errors
/// When a port is taken, or there is no scheduler.
pub async fn run_executor(
    store: EngineStore,
    scheduler: u16,
    ports: [u16; 2],
    work_dir: &Path,
) -> Result<()> {
    let work_dir = work_dir.to_str().ok_or("the working directory's name is not UTF-8")?;
    let runtime = RuntimeEnvBuilder::new().with_temp_file_path(work_dir).build()?;
    let runtime = self::runtime(store, runtime)?;
    let [port, grpc_port] = ports;
    let config = ExecutorProcessConfig {
        bind_host: HOST.to_owned(),
        external_host: Some(HOST.to_owned()),
        port,
        grpc_port,
        scheduler_host: HOST.to_owned(),
        scheduler_port: scheduler,
        scheduler_connect_timeout_seconds: 30,
        work_dir: Some(work_dir.to_owned()),
        override_runtime_producer: Some(Arc::new(move |_| Ok(Arc::clone(&runtime)))),
        override_config_producer: Some(Arc::new(SessionConfig::new_with_ballista)),
        ..ExecutorProcessConfig::default()
    };
    Ok(start_executor_process(Arc::new(config)).await?)
}

/// A session whose queries a cluster runs.
///
/// # Errors
/// When the scheduler is not reached.
pub async fn connect(store: EngineStore, scheduler: u16) -> Result<SessionContext> {
    let runtime = runtime(store, RuntimeEnv::default())?;
    let state = state(SessionConfig::new_with_ballista(), &runtime);
    Ok(SessionContext::remote_with_state(&format!("df://{HOST}:{scheduler}"), state).await?)
}

fn state(config: SessionConfig, runtime: &Arc<RuntimeEnv>) -> SessionState {
    SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(Arc::clone(runtime))
        .build()
}
