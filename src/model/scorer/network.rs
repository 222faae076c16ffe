//! Runs the graph of a model file. What it is given must have passed the guards in the scorer: ONNX Runtime crashes on an empty
//! batch, gives NaN for a length of 0 and takes negative ids for ids counted from the end.

use ort::ep;
use ort::session::{Session, SessionOutputs};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};

use super::library::Library;
use crate::model::contract::METADATA_KEY;
use crate::pipeline::event::Token;
use crate::pipeline::profile::PAD;
use crate::pipeline::session::Score;

/// A graph that is ready to run. Not to be shared: one a thread.
pub struct Network {
    session: Session,
}

impl Network {
    /// Reads a model file. The arena is off because it keeps the memory of the largest batch for ever, the memory pattern because
    /// shapes vary; a second thread inside one run costs more than it gives for networks of this size, and a spinning one a core.
    ///
    /// # Errors
    /// When ONNX Runtime does not take it.
    pub fn open(library: &Library, bytes: &[u8]) -> ort::Result<Self> {
        let session = Session::builder(&library.environment)?
            .with_execution_providers([ep::CPU::default().with_arena_allocator(false).build()])?
            .with_memory_pattern(false)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            .commit_from_memory(bytes)?;
        Ok(Self { session })
    }

    /// The JSON of the contract, when the file has one.
    pub fn contract_json(&self) -> Option<String> {
        self.session.metadata().ok()?.custom(METADATA_KEY)
    }

    /// What of the inputs and outputs is not as the contract wants it.
    pub fn signature_fault(&self) -> Option<String> {
        let inputs = [("event_ids", TensorElementType::Int64, 2), ("lengths", TensorElementType::Int64, 1)];
        let outputs = [
            ("score", TensorElementType::Float32, 1),
            ("token_error", TensorElementType::Float32, 2),
            ("distance", TensorElementType::Float32, 1),
        ];
        let surplus = self.session.inputs().iter().find(|input| inputs.iter().all(|(name, ..)| *name != input.name()));
        outlet_fault("input", self.session.inputs(), &inputs)
            .or_else(|| surplus.map(|input| format!("input {} is unknown, must be event_ids and lengths only", input.name())))
            .or_else(|| outlet_fault("output", self.session.outputs(), &outputs))
    }

    /// Scores windows as one batch, each padded to `steps`. Numbers come as the graph made them, not checked to be finite.
    ///
    /// # Errors
    /// What ONNX Runtime says, or what is wrong with the shapes that it gave.
    ///
    /// # Panics
    /// When there is no window, one is empty, or one is longer than `steps`.
    pub fn run(&mut self, windows: &[&[Token]], steps: usize) -> Result<Vec<Score>, String> {
        assert!(!windows.is_empty(), "an empty batch crashes ONNX Runtime");
        assert!(windows.iter().all(|window| (1..=steps).contains(&window.len())), "windows fit into the batch");
        let (ids, lengths) = (event_ids(windows, steps), lengths(windows));
        let describe = |error: ort::Error| error.to_string();
        let event_ids = TensorRef::from_array_view(([windows.len(), steps], ids.as_slice())).map_err(describe)?;
        let lengths = TensorRef::from_array_view(([windows.len()], lengths.as_slice())).map_err(describe)?;
        let outputs = self.session.run(ort::inputs! { "event_ids" => event_ids, "lengths" => lengths }).map_err(describe)?;
        scores(&outputs, windows, steps)
    }
}

fn outlet_fault(kind: &str, outlets: &[Outlet], wanted: &[(&str, TensorElementType, usize)]) -> Option<String> {
    wanted.iter().find_map(|(name, element, rank)| match outlets.iter().find(|outlet| outlet.name() == *name) {
        None => Some(format!("{kind} {name} is missing")),
        Some(outlet) if !is_tensor(outlet.dtype(), *element, *rank) => {
            Some(format!("{kind} {name} is {}, must be a tensor of {element:?} with {rank} dimensions", outlet.dtype()))
        }
        Some(_) => None,
    })
}

fn is_tensor(value: &ValueType, element: TensorElementType, rank: usize) -> bool {
    matches!(value, ValueType::Tensor { ty, shape, .. } if *ty == element && shape.len() == rank)
}

fn event_ids(windows: &[&[Token]], steps: usize) -> Vec<i64> {
    let padded = |window: &&[Token]| {
        let padding = std::iter::repeat_n(PAD, steps - window.len());
        window.iter().copied().chain(padding).map(|token| i64::from(token.0)).collect::<Vec<_>>()
    };
    windows.iter().flat_map(padded).collect()
}

fn lengths(windows: &[&[Token]]) -> Vec<i64> {
    windows.iter().map(|window| window.len() as i64).collect()
}

fn scores(outputs: &SessionOutputs<'_>, windows: &[&[Token]], steps: usize) -> Result<Vec<Score>, String> {
    let score = floats(outputs, "score", windows.len())?;
    let distance = floats(outputs, "distance", windows.len())?;
    let token_error = floats(outputs, "token_error", windows.len() * steps)?;
    let of_window = |(row, window): (usize, &&[Token])| Score {
        score: score[row],
        distance: distance[row],
        token_error: token_error[row * steps..row * steps + window.len()].to_vec(),
    };
    Ok(windows.iter().enumerate().map(of_window).collect())
}

fn floats<'o>(outputs: &'o SessionOutputs<'_>, name: &str, count: usize) -> Result<&'o [f32], String> {
    let value = outputs.get(name).ok_or_else(|| format!("output {name} is missing"))?;
    let (shape, values) = value.try_extract_tensor::<f32>().map_err(|error| error.to_string())?;
    if values.len() == count { Ok(values) } else { Err(format!("output {name} has shape {shape}, must have {count} elements")) }
}
