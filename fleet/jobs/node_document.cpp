// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/plan_job.hpp"

namespace dunlin {

std::string node_document(std::string_view experiment) {
    std::string kept;
    bool inside = false;
    while (!experiment.empty()) {
        const std::size_t end = experiment.find('\n');
        const std::string_view line = experiment.substr(0, end == experiment.npos ? end : end + 1);
        experiment.remove_prefix(line.size());
        if (line.starts_with('[')) inside = line.starts_with("[fleet]");
        if (!inside) kept += line;
    }
    return kept;
}

}  // namespace dunlin
