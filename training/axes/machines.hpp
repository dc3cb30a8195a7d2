// SPDX-License-Identifier: Apache-2.0
#pragma once

// The machines that training/axes/aggregations.hpp names.
#include "core/aggregate/dpsgd.hpp"
#include "core/aggregate/hyper_gradient_rounds.hpp"
#include "core/aggregate/pars_push.hpp"
#include "core/aggregate/push_pull.hpp"
#include "core/aggregate/scaffold.hpp"
#include "core/aggregate/server_rules.hpp"
#include "core/aggregate/synchronous.hpp"
