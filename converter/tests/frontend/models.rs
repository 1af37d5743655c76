//! The real models, where they are at hand.

use carafe_converter::frontend::{FrontendError, load};

use crate::common::assets;

#[test]
fn every_float_model_is_read() {
    let Some(assets) = assets("every_float_model_is_read") else { return };
    let files = [
        ("ad/ad", [1, 640].as_slice(), [1, 640].as_slice()),
        ("dscnn_kws/dscnn_kws", &[1, 49, 10, 1], &[1, 12]),
        ("efficientnet_lite0/efficientnet_lite0_fp16", &[1, 3, 224, 224], &[1, 1000]),
        ("mobilenet_v2/mobilenet_v2", &[1, 224, 224, 3], &[1, 1001]),
        ("mobilenet_v2/mobilenet_v2_fp16", &[1, 224, 224, 3], &[1, 1001]),
        ("resnet8/resnet8", &[1, 32, 32, 3], &[1, 10]),
        ("dscnn_kws/dscnn_kws_nncf_int8", &[1, 49, 10, 1], &[1, 12]),
        ("resnet8/resnet8_nncf_int8", &[1, 32, 32, 3], &[1, 10]),
        ("resnet8/resnet8_fp16", &[1, 32, 32, 3], &[1, 10]),
        ("str_ww/str_ww", &[1, 30, 1, 40], &[1, 3]),
        ("vww/vww", &[1, 96, 96, 3], &[1, 2]),
        ("vww/vww_fp16", &[1, 96, 96, 3], &[1, 2]),
        ("face_detection_short_range/face_detection_short_range", &[1, 128, 128, 3], &[1, 896, 16]),
        ("hand_landmark_lite/hand_landmark_lite", &[1, 224, 224, 3], &[1, 63]),
    ];
    for (file, input, output) in files {
        let graph = load(&assets.join("models").join(format!("{file}.xml"))).unwrap_or_else(|e| panic!("{e}"));
        graph.check().unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(graph.name, file.split('/').next_back().unwrap(), "{file}");
        assert_eq!(graph.inputs.len(), 1, "{file}");
        assert_eq!(graph.value(graph.inputs[0]).shape, input, "{file}");
        assert_eq!(graph.value(graph.outputs[0]).shape, output, "{file}");
        assert!(graph.nodes.iter().all(|n| n.origin.starts_with("opset")), "{file}");
    }
}

#[test]
fn names_are_those_that_a_user_of_the_model_knows() {
    let Some(assets) = assets("names_are_those_that_a_user_of_the_model_knows") else { return };
    let graph = load(&assets.join("models/face_detection_short_range/face_detection_short_range.xml")).unwrap();
    assert_eq!(graph.value(graph.inputs[0]).name, "input");
    let outputs: Vec<_> = graph.outputs.iter().map(|&o| graph.value(o).name.as_str()).collect();
    assert_eq!(outputs, ["regressors", "classificators"]);
}

#[test]
fn what_cannot_run_is_named_layer_by_layer() {
    let Some(assets) = assets("what_cannot_run_is_named_layer_by_layer") else { return };
    let expected = [
        ("mnist_lstm/mnist_lstm", ["LSTMSequence"].as_slice()),
        ("selfie_segmentation/selfie_segmentation", &["ConvolutionBackpropData", "Interpolate"]),
        ("silero_vad_16k/silero_vad_16k", &["LSTMSequence", "Gather", "Pad"]),
    ];
    for (file, types) in expected {
        let path = assets.join("models").join(format!("{file}.xml"));
        let error = load(&path).map(|_| ()).expect_err(file);
        let message = error.to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        let FrontendError::Unsupported { layers, .. } = error else { panic!("{message}") };
        for ty in types {
            let one =
                layers.0.iter().find(|l| l.ty == *ty).unwrap_or_else(|| panic!("{file}: {ty} is not in {layers}"));
            assert!(one.opset.starts_with("opset") && !one.name.is_empty() && !one.why.is_empty());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let count = |ty: &str| text.matches(&format!("type=\"{ty}\"")).count();
        let listed = |ty: &str| layers.0.iter().filter(|l| l.ty == ty).count();
        for ty in ["LSTMSequence", "Interpolate", "ConvolutionBackpropData"] {
            assert_eq!(listed(ty), count(ty), "{file}: {ty}");
        }
        println!("{message}");
    }
}
