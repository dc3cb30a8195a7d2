// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

/// Makes the problem "ferries" known to the program. Error: the name is taken.
dunlin::Outcome<void> register_ferries();
