//! Tables of TPC-H in Parquet, and some of its queries.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, error::ArrowError, util::pretty::pretty_format_batches},
    dataframe::DataFrameWriteOptions,
    execution::runtime_env::RuntimeEnv,
    prelude::{SessionConfig, SessionContext},
};
use tpchgen::generators::{CustomerGenerator, LineItemGenerator, OrderGenerator};
use tpchgen_arrow::{CustomerArrow, LineItemArrow, OrderArrow};
use url::Url;

use crate::{EngineStore, LAKE, Result};

/// One of the tables that the queries read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Customer,
    Lineitem,
    Orders,
}

/// All tables.
pub const TABLES: [Table; 3] = [Table::Customer, Table::Lineitem, Table::Orders];

/// TPC-H's queries 1, 3 and 6, with the specification's parameters for validation, and one that reads every column.
pub const QUERIES: [(&str, &str); 4] = [
    (
        "1",
        "select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, \
         sum(l_extendedprice) as sum_base_price, \
         sum(l_extendedprice * (1 - l_discount)) as sum_disc_price, \
         sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, \
         avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price, \
         avg(l_discount) as avg_disc, count(*) as count_order \
         from lineitem where l_shipdate <= date '1998-09-02' \
         group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus",
    ),
    (
        "3",
        "select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, \
         o_orderdate, o_shippriority from customer, orders, lineitem \
         where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey \
         and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15' \
         group by l_orderkey, o_orderdate, o_shippriority \
         order by revenue desc, o_orderdate limit 10",
    ),
    (
        "6",
        "select sum(l_extendedprice * l_discount) as revenue from lineitem \
         where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' \
         and l_discount between 0.05 and 0.07 and l_quantity < 24",
    ),
    (
        "all columns",
        "select count(*), min(l_orderkey), max(l_partkey), max(l_suppkey), sum(l_linenumber), \
         sum(l_quantity), sum(l_extendedprice), sum(l_discount), sum(l_tax), max(l_returnflag), \
         max(l_linestatus), max(l_shipdate), max(l_commitdate), max(l_receiptdate), \
         max(l_shipinstruct), max(l_shipmode), max(l_comment) from lineitem",
    ),
];

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

impl Table {
    pub fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Lineitem => "lineitem",
            Self::Orders => "orders",
        }
    }

    fn part(self, scale: f64, part: i32, parts: i32) -> Batches {
        match self {
            Self::Customer => {
                Box::new(CustomerArrow::new(CustomerGenerator::new(scale, part, parts)))
            }
            Self::Lineitem => {
                Box::new(LineItemArrow::new(LineItemGenerator::new(scale, part, parts)))
            }
            Self::Orders => Box::new(OrderArrow::new(OrderGenerator::new(scale, part, parts))),
        }
    }
}

/// A session of DataFusion, in whose URLs below [`LAKE`] the store is.
///
/// # Errors
/// None that is known.
pub fn session(store: EngineStore) -> Result<SessionContext> {
    let runtime = runtime(store, RuntimeEnv::default())?;
    Ok(SessionContext::new_with_config_rt(SessionConfig::new(), runtime))
}

pub(crate) fn runtime(store: EngineStore, runtime: RuntimeEnv) -> Result<Arc<RuntimeEnv>> {
    runtime.register_object_store(&Url::parse(LAKE)?, store);
    Ok(Arc::new(runtime))
}

/// Writes all tables, each in so many files. A part is in memory at a time.
///
/// # Errors
/// When the store fails.
pub async fn write(session: &SessionContext, scale: f64, parts: i32) -> Result<()> {
    for table in TABLES {
        for part in 1..=parts {
            let batches = table.part(scale, part, parts).collect::<Result<Vec<_>, _>>()?;
            let url = format!("{LAKE}/{}/{part}.parquet", table.name());
            let options = DataFrameWriteOptions::new().with_single_file_output(true);
            session.read_batches(batches)?.write_parquet(&url, options, None).await?;
        }
    }
    Ok(())
}

/// Tells a session of the tables, in SQL.
///
/// # Errors
/// When one of them is not there, or is not to be opened.
pub async fn declare(session: &SessionContext) -> Result<()> {
    for table in TABLES {
        let name = table.name();
        let sql =
            format!("create external table {name} stored as parquet location '{LAKE}/{name}/'");
        session.sql(&sql).await?.collect().await?;
    }
    Ok(())
}

/// What a query comes to, as a table for people.
///
/// # Errors
/// When it is no SQL of a table here, or what is read can't be opened.
pub async fn query(session: &SessionContext, sql: &str) -> Result<String> {
    let batches = session.sql(sql).await?.collect().await?;
    Ok(pretty_format_batches(&batches)?.to_string())
}
