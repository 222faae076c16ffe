//! Builds an ONNX graph node by node; values are known by name.

use super::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, AttributeProto, DataType, DimensionProto, GraphProto, NodeProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// A graph in the making. Nodes must be added after those whose values they read.
#[derive(Default)]
pub struct Graph {
    proto: GraphProto,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: Some(name.to_owned()), ..GraphProto::default() } }
    }

    /// The finished graph.
    pub fn into_proto(self) -> GraphProto {
        self.proto
    }

    /// Declares what is fed; dimensions are names.
    pub fn input(&mut self, name: &str, data_type: DataType, dimensions: &[&str]) {
        self.proto.input.push(value_info(name, data_type, dimensions));
    }

    /// Declares what comes out; a node must make it.
    pub fn output(&mut self, name: &str, data_type: DataType, dimensions: &[&str]) {
        self.proto.output.push(value_info(name, data_type, dimensions));
    }

    /// Adds a node that makes `output`.
    pub fn node(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.node_with(op, inputs, output, vec![]);
    }

    /// Adds a node that makes `output`, with settings.
    pub fn node_with(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        self.node_with_outputs(op, inputs, &[output], attributes);
    }

    /// Adds a node with several outputs; an empty name leaves one out. The last one names the node.
    pub fn node_with_outputs(&mut self, op: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) {
        self.proto.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: outputs.last().map(|&name| name.to_owned()),
            op_type: Some(op.to_owned()),
            attribute: attributes,
        });
    }

    /// Adds a constant of 32-bit floats; no dimensions make it a scalar.
    pub fn floats(&mut self, name: &str, dimensions: &[usize], values: impl IntoIterator<Item = f32>) {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.constant(name, DataType::Float, dimensions, bytes, size_of::<f32>());
    }

    /// Adds a constant of 64-bit floats.
    pub fn doubles(&mut self, name: &str, dimensions: &[usize], values: impl IntoIterator<Item = f64>) {
        let bytes = values.into_iter().flat_map(f64::to_le_bytes).collect();
        self.constant(name, DataType::Double, dimensions, bytes, size_of::<f64>());
    }

    /// Adds a constant of 64-bit integers.
    pub fn integers(&mut self, name: &str, dimensions: &[usize], values: impl IntoIterator<Item = i64>) {
        let bytes = values.into_iter().flat_map(i64::to_le_bytes).collect();
        self.constant(name, DataType::Int64, dimensions, bytes, size_of::<i64>());
    }

    /// Adds a constant of bytes.
    pub fn bytes(&mut self, name: &str, dimensions: &[usize], values: Vec<u8>) {
        self.constant(name, DataType::Uint8, dimensions, values, 1);
    }

    fn constant(&mut self, name: &str, data_type: DataType, dimensions: &[usize], bytes: Vec<u8>, element_bytes: usize) {
        assert_eq!(bytes.len(), dimensions.iter().product::<usize>() * element_bytes, "elements of {name} fill its shape");
        self.proto.initializer.push(TensorProto {
            dims: dimensions.iter().map(|&size| size as i64).collect(),
            data_type: Some(data_type as i32),
            name: Some(name.to_owned()),
            raw_data: Some(bytes),
        });
    }
}

/// A setting that is an integer.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), i: Some(value), r#type: Some(ATTRIBUTE_INT), ..AttributeProto::default() }
}

/// A setting that is a list of integers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.to_vec(),
        r#type: Some(ATTRIBUTE_INTS),
        ..AttributeProto::default()
    }
}

/// A setting that is a string.
pub fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        s: Some(value.into()),
        r#type: Some(ATTRIBUTE_STRING),
        ..AttributeProto::default()
    }
}

/// The setting of a `Cast`.
pub fn to(data_type: DataType) -> Vec<AttributeProto> {
    vec![int("to", i64::from(data_type as i32))]
}

fn value_info(name: &str, data_type: DataType, dimensions: &[&str]) -> ValueInfoProto {
    let dim = dimensions.iter().map(|&name| DimensionProto { dim_param: Some(name.to_owned()) }).collect();
    let tensor = TensorTypeProto { elem_type: Some(data_type as i32), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor) }) }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
