// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/letter.hpp"
#include "training/host/failure.hpp"

#include <string>

namespace dunlin::app {

// What a browser asks for, made into what the command line would have asked the desk for. Any thread may call these.

/// {"experiment": NAME or TOML, "nodes", "set": ["KEY=VALUE"], "token"}. No file of this machine is read. Errors: no such
/// experiment, settings that are wrong.
Outcome<Letter> run_request(const std::string& json);

/// {"policy": a model's file in base64, "nodes", "set", "token"}. Errors: no model, one that nodes cannot run.
Outcome<Letter> push_request(const std::string& json);

/// Of what the desk says to "pull" the same without the experiment, and "policy": the model's file in base64. Errors: a
/// model that this program cannot write.
Outcome<std::string> pulled_answer(const Letter& told);

/// The ready-made experiments that real nodes can run: {"experiments": [{"name", "summary", "toml"}]}.
std::string experiments_json();

}  // namespace dunlin::app
