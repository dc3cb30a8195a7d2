// SPDX-License-Identifier: Apache-2.0
#include "bench.hpp"
#include "core/kernels.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace dunlin::bench {
namespace {

/// One line a benchmark: the best of each of its counters.
class Table : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.aggregate_name != "max") continue;
            std::string& line = lines_[run.run_name.str().substr(0, run.run_name.str().find("/repeats"))];
            for (const auto& [name, counter] : run.counters) {
                char text[64];
                std::snprintf(text, sizeof text, "  %10.4g %s", counter.value, name.c_str());
                line += text;
            }
        }
        std::fprintf(stderr, ".");
    }
    void Finalize() override {
        std::printf("\nfast kernels here: %s\n", find_kernels("fast").value()->name);
        for (const auto& [name, line] : lines_) std::printf("%-46s%s\n", name.c_str(), line.c_str());
    }

private:
    std::map<std::string, std::string> lines_;
};

}  // namespace

void take_best(benchmark::internal::Benchmark* benchmark) {
    benchmark->ComputeStatistics(
        "max", [](const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); });
}

}  // namespace dunlin::bench

/// Short repetitions, interleaved, so that one disturbance does not hit all of a benchmark's; flags can say
/// otherwise.
int main(int argc, char** argv) {
    std::vector<std::string> defaults = {"--benchmark_min_time=0.01", "--benchmark_repetitions=30",
                                         "--benchmark_enable_random_interleaving=true",
                                         "--benchmark_report_aggregates_only=true"};
    std::vector<char*> arguments = {argv[0]};
    for (std::string& text : defaults) arguments.push_back(text.data());
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
    dunlin::bench::register_perceptrons();
    dunlin::bench::register_rule_worlds();
    dunlin::bench::register_navigation();
    dunlin::bench::register_hessian_vectors();
    dunlin::bench::Table table;
    benchmark::RunSpecifiedBenchmarks(&table);
    benchmark::Shutdown();
}
