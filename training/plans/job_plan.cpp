// SPDX-License-Identifier: Apache-2.0
#include "training/plans/job_plan.hpp"

#include <cassert>

namespace dunlin {

AnyServerRule rule_of(AggregationName name, const RuleSettings& settings) {
    switch (name) {
#define DUNLIN_MAKE(name, rule) \
    case AggregationName::name: \
        return rule::of(settings);
        DUNLIN_SERVER_RULES(DUNLIN_MAKE)
#undef DUNLIN_MAKE
        default:
            assert(!has_server(name));
            return {};
    }
}

}  // namespace dunlin
