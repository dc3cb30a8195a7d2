// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"
#include "training/models/model_file.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// What a bundle's program does with a model: which sources it takes, and what its example shows.
enum class BundleUse : std::uint8_t {
    grid,     ///< adapts a policy to a navigation task of its own (device::GridLearner)
    body,     ///< adapts a policy with one real body (device::BodyLearner)
    samples,  ///< answers, and learns from samples of its own (device::SampleLearner)
    network,  ///< runs a network of layers (FixedNetwork)
};

/// A folder for anyone's project: the model, exactly the sources that it takes, manifests for PlatformIO, Arduino,
/// ESP-IDF, Zephyr and make, and an example a platform. Sources are in src/dunlin and include each other by that
/// name, so that no file of a project is hidden by one of theirs.
struct Bundle {
    using Files = std::vector<std::pair<std::string, std::string>>;  ///< path in the bundle, bytes

    /// Of the bundle however many models it has: the same from the same program. A bundle that has another text in
    /// one of them was made by another version.
    Files sources;
    /// Written once: a second model in the same bundle leaves them.
    Files manifests;
    /// Of this model: src/NAME.hpp and examples/NAME.
    Files own;
};

/// `header` is what model_header or network_header wrote with this name. Error: a file that is named in an include
/// is not among the sources that the program carries.
Outcome<Bundle> make_bundle(const TrainedModel& model, BundleUse use, const std::string& header,
                            const std::string& name, std::string_view version);

}  // namespace dunlin
