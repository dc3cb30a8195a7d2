// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace dunlin {

/// Does an expression over names and labels choose a node? `has` says whether the node has a name or label.
///
///     either = both { "or" both }
///     both   = one { ("and" | ",") one }
///     one    = [ "not" | "!" ] ( NAME | "(" either ")" )
///
/// So "gpu,!lab" are the nodes labelled gpu and not lab. NAME is what stands up to a space or one of , ! ( ); a text
/// that is a name or label as a whole is for the caller to take so. `has` is asked for every name, so that the caller
/// can tell which are nobody's. Error: another text, with the place where it goes wrong, counted from 1.
Outcome<bool> selects(std::string_view expression, const std::function<bool(std::string_view)>& has);

}  // namespace dunlin
