// SPDX-License-Identifier: Apache-2.0
#include "real_fleet.hpp"
#include "transport/encoding.hpp"

#include <cstring>
#include <unordered_set>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Do three personal parameters in a row appear in what was said, at any byte?
bool appears(const std::vector<std::vector<float>>& personal, const std::vector<std::vector<std::byte>>& frames) {
    constexpr std::size_t window = 3 * sizeof(float);
    std::unordered_set<std::string> secrets;
    for (const auto& theta : personal) {
        for (std::size_t k = 0; k + 3 <= theta.size(); k += 3) {
            secrets.emplace(reinterpret_cast<const char*>(theta.data() + k), window);
        }
    }
    std::string piece(window, '\0');
    for (const auto& frame : frames) {
        for (std::size_t at = 0; at + window <= frame.size(); ++at) {
            std::memcpy(piece.data(), frame.data() + at, window);
            if (secrets.contains(piece)) return true;
        }
    }
    return false;
}

}  // namespace

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
