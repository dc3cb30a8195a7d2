// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "training/privacy/privacy_loss.hpp"
#include "training/privacy/renyi.hpp"

#include <cmath>
#include <memory>
#include <optional>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

struct PrivacyOptions {
    SampledGaussian mechanism;
    std::optional<double> epsilon;
    double delta = 1e-5;
    bool json = false;
};

/// Upwards to so many digits that nobody is told less than what was spent.
double rounded_up(double epsilon) {
    return std::ceil(epsilon * 1e5) / 1e5;
}

Outcome<int> print_privacy(PrivacyOptions options) {
    if (options.epsilon) {
        const Outcome<double> noise = noise_for(options.mechanism, *options.epsilon, options.delta);
        if (!noise) return tl::unexpected(noise.error());
        options.mechanism.noise = std::ceil(*noise * 1e4) / 1e4;
    }
    const SampledGaussian& mechanism = options.mechanism;
    if (auto fits = mechanism.check().and_then([&] { return check_delta(options.delta); }); !fits)
        return tl::unexpected(fits.error());
    const RenyiBound renyi = epsilon_rdp(mechanism, options.delta);
    const double loss = epsilon_pld(mechanism, options.delta);
    if (!std::isfinite(loss)) {
        return unable(
            fmt::format("no finite epsilon found for {} steps at delta {:g}: release less, or add more noise",
                        mechanism.steps, options.delta));
    }
    if (options.json) {
        const nlohmann::ordered_json json{{"noise", mechanism.noise},
                                          {"rate", mechanism.rate},
                                          {"steps", mechanism.steps},
                                          {"delta", options.delta},
                                          {"epsilon_rdp", rounded_up(renyi.epsilon)},
                                          {"rdp_order", renyi.order},
                                          {"epsilon_pld", rounded_up(loss)}};
        say("{}\n", json.dump(2));
        return 0;
    }
    say("Gaussian noise of {} times the clipping norm, every unit in a step with chance {:g}, {} {}:\n",
        mechanism.noise, mechanism.rate, mechanism.steps, mechanism.steps == 1 ? "step" : "steps");
    report::Table table{{"accountant", "epsilon", "at delta"}, {}, ""};
    table.rows.push_back(
        {"privacy loss distribution", fmt::format("{:.4f}", rounded_up(loss)), fmt::format("{:g}", options.delta)});
    table.rows.push_back({fmt::format("Renyi, order {:g}", renyi.order),
                          fmt::format("{:.4f}", rounded_up(renyi.epsilon)), fmt::format("{:g}", options.delta)});
    say("{}", report::text_table(table));
    if (mechanism.rate < 1) {
        say("A rate below 1 counts only where who takes part is drawn for each unit by itself, and is hidden from\n"
            "whoever the promise is made against.\n");
    }
    return 0;
}

}  // namespace

void add_privacy(CLI::App& program, Command& run) {
    auto options = std::make_shared<PrivacyOptions>();
    CLI::App* command = program.add_subcommand(
        "privacy", "Tell the privacy (epsilon, delta) that noisy sums spend, or the noise that a budget asks for");
    CLI::Option* const noise =
        command->add_option("--noise", options->mechanism.noise,
                            "standard deviation, as a multiple of the norm that units are clipped to");
    CLI::Option* const epsilon =
        command->add_option("--epsilon", options->epsilon, "find the noise that spends this");
    noise->excludes(epsilon);
    command->add_option("--rate", options->mechanism.rate, "chance of a unit to be in a step; default: 1");
    command->add_option("--steps", options->mechanism.steps, "sums that are released; default: 1");
    command->add_option("--delta", options->delta, "default: 1e-5");
    command->add_flag("--json", options->json, "print JSON on stdout instead of a table");
    command->footer(
        "Both are upper bounds for adding or removing one unit, a user or a row: the smaller one counts.\n"
        "Example:\n  dunlin privacy --noise 1.1 --rate 0.00427 --steps 14062 --delta 1e-5\n"
        "  dunlin privacy --epsilon 2 --rate 0.1 --steps 100\n");
    command->callback([options, noise, epsilon, &run] {
        if (noise->count() + epsilon->count() == 0) throw CLI::RequiredError("--noise or --epsilon");
        run = [options] { return print_privacy(*options); };
    });
}

}  // namespace dunlin::app
