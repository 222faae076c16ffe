//! Finds ONNX Runtime on this machine and loads it, once for the life of the process.

use std::error::Error as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::LoadDynamicError;
use ort::environment::{Environment, EnvironmentBuilder};
use ort::logging::LogLevel;
use thiserror::Error;

/// The library, loaded.
pub struct Library {
    /// Where it was found; a bare name when the system's loader knew where.
    pub path: PathBuf,
    /// What it says of its build.
    pub build: &'static str,
    pub(super) environment: Environment,
}

/// Why there is no library to run models with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LibraryError {
    /// Somebody named a library, and it is not there.
    #[error("load ONNX Runtime: {setting} names {}, which does not exist; {REMEDY}", path.display())]
    Missing {
        /// Who named it.
        setting: &'static str,
        /// What was named.
        path: PathBuf,
    },
    /// It is there, but is no ONNX Runtime, or too old.
    #[error("load ONNX Runtime from {}: {reason}; {REMEDY}", path.display())]
    Unusable {
        /// The file, or the bare name asked of the system's loader.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// Nobody named a library, and none was found.
    #[error("load ONNX Runtime: no {FILE_NAME} beside {}, and none known to the system ({reason}); {REMEDY}", executable.display())]
    NotFound {
        /// The running program.
        executable: PathBuf,
        /// What the system's loader said.
        reason: String,
    },
}

/// Loads the library, or gives the one that is loaded already: a process can have only one.
///
/// Looks, in this order, at the environment variable `ORT_DYLIB_PATH`, at `configured`, for `libonnxruntime.so` beside the
/// executable, and wherever the system's loader looks. A library that somebody named is taken or refused; only when nobody
/// named one does the search go on.
///
/// # Errors
/// When there is none that can be used. A later call tries again, except after a library whose interface was wrong: it stays loaded.
pub fn load(configured: Option<&Path>) -> Result<&'static Library, LibraryError> {
    // Held while loading, so that two threads do not make two environments, which ONNX Runtime refuses.
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = LIBRARY.get() {
        return Ok(library);
    }
    let library = open(find(configured)?)?;
    Ok(LIBRARY.get_or_init(|| library))
}

fn find(configured: Option<&Path>) -> Result<PathBuf, LibraryError> {
    let from_environment = std::env::var_os(VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    if let Some(path) = from_environment {
        return named(VARIABLE, &path);
    }
    if let Some(path) = configured {
        return named("the configuration", path);
    }
    let beside = executable().with_file_name(FILE_NAME);
    Ok(if beside.exists() { beside } else { PathBuf::from(FILE_NAME) })
}

/// Absolute, since `ort` takes a relative path from the executable and not from the working directory.
fn named(setting: &'static str, path: &Path) -> Result<PathBuf, LibraryError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if absolute.exists() {
        Ok(absolute)
    } else {
        Err(LibraryError::Missing { setting, path: absolute })
    }
}

fn open(path: PathBuf) -> Result<Library, LibraryError> {
    let builder = ort::init_from(&path).map_err(|error| refused(&path, reason(&error)))?;
    // `ort` panics when a library of a fitting version does not offer the interface that it asks for.
    match catch_unwind(AssertUnwindSafe(|| environment(builder))) {
        Ok(Ok((environment, build))) => Ok(Library {
            path,
            build,
            environment,
        }),
        Ok(Err(error)) => Err(refused(&path, error.to_string())),
        Err(_) => Err(refused(&path, "it does not offer version 17 of the interface".to_owned())),
    }
}

fn environment(builder: EnvironmentBuilder) -> ort::Result<(Environment, &'static str)> {
    // Microsoft's builds from 1.29 on send usage data unless told not to.
    let environment = builder.with_name("hdfs-vigil").with_telemetry(false).build()?;
    environment.set_log_level(LogLevel::Warning);
    Ok((environment, ort::info()))
}

fn refused(path: &Path, reason: String) -> LibraryError {
    if path == Path::new(FILE_NAME) {
        return LibraryError::NotFound {
            executable: executable(),
            reason,
        };
    }
    LibraryError::Unusable {
        path: path.to_owned(),
        reason,
    }
}

/// What the system's loader says is one level below the message.
fn reason(error: &LoadDynamicError) -> String {
    if let LoadDynamicError::Dlopen { error, path: _ } = error {
        return error.source().map_or_else(|| error.to_string(), ToString::to_string);
    }
    error.to_string()
}

fn executable() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

static LIBRARY: OnceLock<Library> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());
const VARIABLE: &str = "ORT_DYLIB_PATH";
const FILE_NAME: &str = "libonnxruntime.so";
const REMEDY: &str = "scripts/onnxruntime fetches the right one and says where it is";
