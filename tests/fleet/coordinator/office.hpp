// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/desk.hpp"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace dunlin::testing {

using nlohmann::json;

/// A directory that is gone with its test.
struct Directory {
    std::filesystem::path path;
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-desk-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

struct Nobody final : Outbox {
    bool takes = false;  ///< as if somebody were there
    Result<void> send(const PublicKey&, const Message&) override {
        if (takes) return {};
        return fail(Code::not_connected);
    }
};

/// A coordinator without a network, as a command opens it.
struct Office {
    explicit Office(const std::filesystem::path& store, bool with_index = true) {
        if (!with_index) std::filesystem::remove(store / "store.db");
        index = *Index::open(store / "store.db");
        StoreSettings settings;
        settings.unix_ms = [] { return std::int64_t{1'700'000'000'000}; };
        auto opened = Coordinator::open(posix_file_system(), store, settings, {}, nobody, *index);
        REQUIRE(opened);
        coordinator = *std::move(opened);
        desk = std::make_unique<Desk>(*coordinator, *index, Desk::Place{});
    }
    json ask(const json& request, const std::vector<float>& numbers = {}) {
        const Letter answer = desk->answer({request.dump(), numbers}, 1000);
        pulled = answer.numbers;
        return json::parse(answer.json);
    }

    Nobody nobody;
    std::unique_ptr<Index> index;
    std::unique_ptr<Coordinator> coordinator;
    std::unique_ptr<Desk> desk;
    std::vector<float> pulled;
};

inline json admit(const std::string& name, int key) {
    return {{"command", "admit"},
            {"name", name},
            {"key", std::string(62, '0') + std::to_string(10 + key)},
            {"labels", {"all"}}};
}

inline const json small_job{
    {"command", "run"},
    {"experiment", "kind = \"fleet-navigation\"\n[policy]\nhidden = [8]\n[method]\nname = \"persafl-me\"\n"},
    {"where", "test"},
    {"token", "once"}};

}  // namespace dunlin::testing
