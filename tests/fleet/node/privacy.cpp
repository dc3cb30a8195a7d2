// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/plan_job.hpp"
#include "personal_numbers.hpp"
#include "real_fleet.hpp"
#include "transport/encoding.hpp"

#include <fstream>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("what is personal is in no message of a whole run, and a planted leak is found [invariant 10]") {
    for (const JobPlan& plan : {federated(), push_sum()}) {
        RealFleet fleet(3);
        const std::string kept = "personal-" + std::to_string(fleet.run(plan)) + ".dunlin";
        // On a busy machine nodes wake up less often in the ticks that the job lasts.
        REQUIRE(fleet.personal().size() > 20);
        REQUIRE(fleet.frames().size() > 20);
        CHECK_FALSE(appears(fleet.personal(), fleet.frames()));
        // It is on each node's own disk alone.
        for (const char* name : {"n0", "n1", "n2"}) {
            const auto file = ArrayFile::read(fleet.folder() / name / kept, "model");
            REQUIRE(file);
            CHECK(std::ranges::count(fleet.personal(), *file->floats("parameters")) > 0);
        }

        auto frames = fleet.frames();
        const auto leak =
            encode_frame({{1, 0, 1, 1}, ModelUpdate{0, 0, 1.0f, view_values(fleet.personal().back())}});
        REQUIRE(leak);
        frames.emplace_back(leak->bytes().begin(), leak->bytes().end());
        CHECK(appears(fleet.personal(), frames));
    }
}

TEST_CASE("rows that nodes bring are in no message, nor what a file says that does not fit [invariant 10]") {
    const std::string toml =
        "kind = \"classification\"\n[data]\nsource = \"nodes\"\nfeatures = [\"x\", \"y\", \"z\"]\n"
        "classes = [\"sit\", \"walk\"]\nlabel = \"does\"\ncentre = [0.5, 0.5, 0.5]\n"
        "[federated]\nmethod = \"persafl-me\"\n[fleet]\nupdates = 15\n";
    auto plan = plan_job(toml, "the test", 4);
    REQUIRE(plan);
    std::filesystem::path folder;
    RealFleet fleet(4, [&](const JobTerms& terms) {
        return make_node_task_with((folder / ("private-" + std::to_string(terms.member) + ".csv")).string(), terms);
    });
    folder = fleet.folder();
    // Of three nodes each row as it is, and as the model takes it; the fourth's file has words for numbers.
    std::vector<std::vector<float>> rows;
    for (int node = 0; node < 4; ++node) {
        std::ofstream file(folder / ("private-" + std::to_string(node) + ".csv"));
        file << "x,y,z,does,whereabouts\n";
        Stream random(9, static_cast<std::uint32_t>(node), Purpose::data);
        for (int k = 0; k < 40; ++k) {
            std::vector<float> raw, scaled;
            for (int feature = 0; feature < 3; ++feature) {
                raw.push_back(static_cast<float>(random.below(10000)) / 10000.0f);
                scaled.push_back(raw.back() - 0.5f);
            }
            file << raw[0] << ',' << raw[1] << ',';
            node == 3 && k == 20 ? file << "classified" : file << raw[2];
            file << ',' << (raw[0] > 0.5f ? "walk" : "sit") << ",Atlantis\n";
            rows.push_back(raw);
            rows.push_back(scaled);
        }
    }
    fleet.run_planned(*plan);
    REQUIRE(fleet.frames().size() > 20);
    CHECK_FALSE(appears(rows, fleet.frames()));
    const auto said = [&](std::string_view text) {
        return std::ranges::any_of(fleet.frames(), [&](const std::vector<std::byte>& frame) {
            return std::string_view(reinterpret_cast<const char*>(frame.data()), frame.size()).find(text) !=
                   std::string_view::npos;
        });
    };
    for (const char* text : {"classified", "Atlantis", "whereabouts", "private-"}) CHECK_FALSE(said(text));
    CHECK(said("its data have a value that is missing or no number"));
    CHECK(fleet.metric(0, "accuracy") > 0.5);

    auto frames = fleet.frames();
    const auto leak = encode_frame({{1, 0, 1, 1}, ModelUpdate{0, 0, 1.0f, view_values(rows.back())}});
    REQUIRE(leak);
    frames.emplace_back(leak->bytes().begin(), leak->bytes().end());
    CHECK(appears(rows, frames));
}
