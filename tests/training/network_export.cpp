// SPDX-License-Identifier: Apache-2.0
// Networks of every kind of layer as ONNX and as C, run by others.
#include "network_folder.hpp"
#include "network_samples.hpp"
#include "source_dir.hpp"
#include "training/models/model_export.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("networks of every kind of layer are valid ONNX, and compute there what they compute here") {
    if (!has_onnx()) return;
    const Folder folder;
    for (const NetworkSample& sample : network_samples()) {
        const TrainedModel model = scaled(model_of(sample));
        const Lines lines = lines_of(model);
        folder.write(sample.name + ".onnx", model_onnx(model, sample.name));
        folder.write(sample.name + ".in", lines.in);
        folder.write(sample.name + ".out", lines.out);
    }
    CHECK(folder.shell("/usr/bin/python3 " DUNLIN_SOURCE_DIR "/tests/training/onnx_evaluate.py . >log.txt 2>&1") ==
          0);
    INFO(folder.read("log.txt"));
    CHECK(folder.read("log.txt").find("Error") == std::string::npos);
}
