//! The runtime with one op, which `CARAFE_SIZE_OP` names when this is compiled.
#![no_std]
#![no_main]

use carafe::arithmetic::Tflite;
use carafe::ops::{
    Add, AvgPool2d, Concat, Conv2d, Dense, DepthwiseConv2d, History, Lut, MaxPool2d, Mean, Reshape, Softmax,
};
use carafe::{Registry, registry};

const OP: Registry<'static> = match option_env!("CARAFE_SIZE_OP") {
    None => registry![],
    Some(name) => match name.as_bytes() {
        b"Conv2d" => registry![Conv2d],
        b"DepthwiseConv2d" => registry![DepthwiseConv2d],
        b"Dense" => registry![Dense],
        b"Add" => registry![Add],
        b"AvgPool2d" => registry![AvgPool2d],
        b"Mean" => registry![Mean],
        b"Softmax" => registry![Softmax],
        b"MaxPool2d" => registry![MaxPool2d],
        b"Lut" => registry![Lut],
        b"Concat" => registry![Concat],
        b"Reshape" => registry![Reshape],
        b"History" => registry![History],
        b"Conv2d<Tflite>" => registry![Conv2d<Tflite>],
        b"DepthwiseConv2d<Tflite>" => registry![DepthwiseConv2d<Tflite>],
        b"Dense<Tflite>" => registry![Dense<Tflite>],
        b"Add<Tflite>" => registry![Add<Tflite>],
        b"AvgPool2d<Tflite>" => registry![AvgPool2d<Tflite>],
        b"Mean<Tflite>" => registry![Mean<Tflite>],
        b"Softmax<Tflite>" => registry![Softmax<Tflite>],
        _ => panic!("CARAFE_SIZE_OP names no op"),
    },
};

carafe_size::program!(carafe_size::infer(OP));
