//! One LSTM layer as a single differentiable operation, since an operation for each gate of each step makes training ten times slower.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp2, DType, Device, Layout, Result, Shape, Tensor};

/// Hidden states of an LSTM that begins with zeros, shape [steps, batch, H].
///
/// `inputs` holds what the inputs and biases contribute to the gates, [steps, batch, 4H]; `w_hh` is [4H, H]; gates stand in the
/// order i, f, g, o. Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, as PyTorch and ONNX define it.
///
/// # Errors
/// When the shapes do not fit or the tensors are not contiguous 32-bit floats.
pub fn lstm(inputs: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
    let layer = Layer { forward: OnceLock::new() };
    inputs.contiguous()?.apply_op2(&w_hh.contiguous()?, layer)
}

/// What the backward pass needs of the forward pass.
struct Layer {
    forward: OnceLock<Forward>,
}

/// Activations of all steps.
struct Forward {
    /// [steps, batch, 4H], after their sigmoid or tanh
    gates: Vec<f32>,
    /// [steps, batch, H]
    cells: Vec<f32>,
}

/// Sizes of one application.
#[derive(Clone, Copy)]
struct Dimensions {
    steps: usize,
    batch: usize,
    hidden: usize,
}

impl CustomOp2 for Layer {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn cpu_fwd(&self, inputs: &CpuStorage, layout: &Layout, w_hh: &CpuStorage, w_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (steps, batch, gates) = layout.shape().dims3()?;
        let dimensions = Dimensions { steps, batch, hidden: gates / 4 };
        let w_hh = Tensor::from_slice(contiguous(w_hh, w_layout)?, w_layout.shape(), &Device::Cpu)?;
        let (forward, hidden) = run(dimensions, contiguous(inputs, layout)?, &w_hh.t()?)?;
        // A second application of the same layer would be a second `Layer`: see `lstm`.
        let _ = self.forward.set(forward);
        Ok((CpuStorage::F32(hidden), (steps, batch, dimensions.hidden).into()))
    }

    fn bwd(&self, inputs: &Tensor, w_hh: &Tensor, hidden: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (steps, batch, hidden_width) = hidden.dims3()?;
        let dimensions = Dimensions { steps, batch, hidden: hidden_width };
        let forward = self.forward.get().expect("backward follows forward");
        let grad_gates = run_back(dimensions, forward, w_hh, &flat(grad)?)?;
        let grad_inputs = Tensor::from_vec(grad_gates, inputs.shape(), &Device::Cpu)?;
        let grad_w_hh = recurrent_gradient(dimensions, hidden, &grad_inputs)?;
        Ok((Some(grad_inputs), Some(grad_w_hh)))
    }
}

/// Activations and hidden states.
fn run(dimensions: Dimensions, inputs: &[f32], w_hh_t: &Tensor) -> Result<(Forward, Vec<f32>)> {
    let Dimensions { steps, batch, hidden } = dimensions;
    let (states, width) = (batch * hidden, batch * hidden * 4);
    let mut gates = inputs.to_vec();
    let mut cells = vec![0.0; steps * states];
    let mut hiddens = vec![0.0; steps * states];
    for step in 0..steps {
        let gates = &mut gates[step * width..][..width];
        let (past, now) = cells.split_at_mut(step * states);
        let before = step.checked_sub(1).map(|before| &past[before * states..]);
        if step > 0 {
            let state = &hiddens[(step - 1) * states..][..states];
            add(gates, &flat(&Tensor::from_slice(state, (batch, hidden), &Device::Cpu)?.matmul(w_hh_t)?)?);
        }
        step_forward(hidden, gates, before, &mut now[..states], &mut hiddens[step * states..][..states]);
    }
    Ok((Forward { gates, cells }, hiddens))
}

/// One step of every sequence of the batch.
fn step_forward(hidden: usize, gates: &mut [f32], before: Option<&[f32]>, cells: &mut [f32], out: &mut [f32]) {
    for (row, gates) in gates.chunks_exact_mut(4 * hidden).enumerate() {
        let (i, rest) = gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        for unit in 0..hidden {
            let at = row * hidden + unit;
            i[unit] = sigmoid(i[unit]);
            f[unit] = sigmoid(f[unit]);
            g[unit] = tanh(g[unit]);
            o[unit] = sigmoid(o[unit]);
            cells[at] = f[unit] * before.map_or(0.0, |before| before[at]) + i[unit] * g[unit];
            out[at] = o[unit] * tanh(cells[at]);
        }
    }
}

/// Gradient of the gates before their activation, [steps, batch, 4H].
fn run_back(dimensions: Dimensions, forward: &Forward, w_hh: &Tensor, grad: &[f32]) -> Result<Vec<f32>> {
    let Dimensions { steps, batch, hidden } = dimensions;
    let (states, width) = (batch * hidden, batch * hidden * 4);
    let mut grad_gates = forward.gates.clone();
    let mut grad_cell = vec![0.0; states];
    let mut grad_hidden = vec![0.0; states];
    for step in (0..steps).rev() {
        add(&mut grad_hidden, &grad[step * states..][..states]);
        let gates = &mut grad_gates[step * width..][..width];
        let before = step.checked_sub(1).map(|before| &forward.cells[before * states..][..states]);
        step_back(hidden, gates, &forward.cells[step * states..][..states], before, &grad_hidden, &mut grad_cell);
        grad_hidden = flat(&Tensor::from_slice(gates, (batch, 4 * hidden), &Device::Cpu)?.matmul(w_hh)?)?;
    }
    Ok(grad_gates)
}

/// Turns the activations in `gates` into their gradients, and `grad_cell` into that of the step before.
fn step_back(
    hidden: usize,
    gates: &mut [f32],
    cells: &[f32],
    before: Option<&[f32]>,
    grad_hidden: &[f32],
    grad_cell: &mut [f32],
) {
    for (row, gates) in gates.chunks_exact_mut(4 * hidden).enumerate() {
        let (i, rest) = gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        for unit in 0..hidden {
            let at = row * hidden + unit;
            let tanh = tanh(cells[at]);
            let grad = grad_cell[at] + grad_hidden[at] * o[unit] * (1.0 - tanh * tanh);
            let (input, forget, candidate) = (i[unit], f[unit], g[unit]);
            o[unit] = grad_hidden[at] * tanh * o[unit] * (1.0 - o[unit]);
            i[unit] = grad * candidate * input * (1.0 - input);
            f[unit] = grad * before.map_or(0.0, |before| before[at]) * forget * (1.0 - forget);
            g[unit] = grad * input * (1.0 - candidate * candidate);
            grad_cell[at] = grad * forget;
        }
    }
}

/// Gradient of `w_hh`: the first step has no state before it, so it has no part in it.
fn recurrent_gradient(dimensions: Dimensions, hidden: &Tensor, grad_gates: &Tensor) -> Result<Tensor> {
    let Dimensions { steps, batch, hidden: width } = dimensions;
    if steps == 1 {
        return Tensor::zeros((4 * width, width), DType::F32, &Device::Cpu);
    }
    let before = hidden.narrow(0, 0, steps - 1)?.reshape(((steps - 1) * batch, width))?;
    let after = grad_gates.narrow(0, 1, steps - 1)?.reshape(((steps - 1) * batch, 4 * width))?;
    after.t()?.matmul(&before)
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| candle_core::Error::Msg("tensor is not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn flat(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

fn add(sum: &mut [f32], more: &[f32]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The hyperbolic tangent to 1e-7, in a quarter of the time that the mathematical library takes for the last bit.
fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Var};

    use super::*;

    #[test]
    fn equals_the_same_layer_written_with_elementary_operations() {
        for (steps, batch) in [(1, 1), (1, 3), (2, 1), (5, 3)] {
            check(steps, batch).expect("both layers run");
        }
    }

    /// States and both gradients must agree.
    fn check(steps: usize, batch: usize) -> Result<()> {
        let inputs = Var::from_tensor(&wave((steps, batch, 8), 0.7)?)?;
        let w_hh = Var::from_tensor(&wave((8, 2), 1.3)?)?;
        let weights = wave((steps, batch, 2), 2.1)?;
        let mut results = Vec::new();
        for states in [lstm(&inputs, &w_hh)?, elementary(&inputs, &w_hh)?] {
            let gradients = (&states * &weights)?.sum_all()?.backward()?;
            let gradient = |var: &Var| gradients.get(var).expect("takes part").flatten_all();
            results.push(Tensor::cat(&[states.flatten_all()?, gradient(&inputs)?, gradient(&w_hh)?], 0)?);
        }
        let difference = (&results[0] - &results[1])?.abs()?.max(0)?.to_scalar::<f32>()?;
        assert!(difference < 1e-6, "{steps} steps, batch {batch}: differs by {difference}");
        Ok(())
    }

    fn elementary(inputs: &Tensor, w_hh: &Tensor) -> Result<Tensor> {
        let (steps, batch, width) = inputs.dims3()?;
        let mut hidden = Tensor::zeros((batch, width / 4), DType::F32, &Device::Cpu)?;
        let mut cell = hidden.clone();
        let mut states = Vec::new();
        for step in 0..steps {
            let gates = (inputs.get(step)? + hidden.matmul(&w_hh.t()?)?)?.chunk(4, D::Minus1)?;
            let squash = |gate: &Tensor| (gate.neg()?.exp()? + 1.0)?.recip();
            cell = ((squash(&gates[1])? * cell)? + (squash(&gates[0])? * gates[2].tanh()?)?)?;
            hidden = (squash(&gates[3])? * cell.tanh()?)?;
            states.push(hidden.clone());
        }
        Tensor::stack(&states, 0)
    }

    /// Values that look like nothing in particular and are the same each time.
    fn wave(shape: impl Into<Shape>, pace: f32) -> Result<Tensor> {
        let shape = shape.into();
        let values: Vec<f32> = (0..shape.elem_count()).map(|index| (index as f32 * pace).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}
