// SPDX-License-Identifier: Apache-2.0
// What a masked round costs beside one in clear: `dunlin_bench_masked_rounds [MEMBERS [DIMENSION [RUNS]]]`.
// Server: all that a coordinator does with the messages of a round, from bytes to the moved model. Client: all that one
// member does, but for training. Disk and network are left out: both kinds send one message of dimension numbers up.
#include "core/random.hpp"
#include "fleet/coordinator/job.hpp"
#include "fleet/masks/mask_member.hpp"
#include "fleet/masks/mask_round.hpp"
#include "training/host/host_memory.hpp"
#include "transport/encoding.hpp"
#include "transport/wire/wire_codec.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <numeric>

#include <fmt/format.h>
#include <time.h>

using namespace dunlin;

namespace {

/// Of the processor, so that what else runs on the machine does not count.
double now_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

/// Adds the time that it lives to a sum.
class Timer {
public:
    explicit Timer(double& sum) : sum_(sum), since_(now_ms()) {}
    Timer(const Timer&) = delete;
    ~Timer() { sum_ += now_ms() - since_; }

private:
    double& sum_;
    double since_;
};

struct Cost {
    double server = 0, clients = 0;  ///< ms; of all clients
};

Update update_of(std::uint32_t member, ConstVector<float> values) {
    Update update;
    update.node = member;
    update.incarnation = 1;
    update.sequence = 1;
    update.values = values;
    return update;
}

/// As bytes and back, each on its side's time.
DecodedMessage carried(const Message& message, double& from, double& to) {
    Frame frame;
    {
        const Timer timer(from);
        frame = encode_frame(message).value();
    }
    const Timer timer(to);
    return decode_frame(std::move(frame)).value();
}

Cost in_clear(std::span<const std::vector<float>> updates) {
    const auto members = static_cast<std::uint32_t>(updates.size());
    const std::size_t dimension = updates.front().size();
    Cost cost;
    const ServerSettings settings{members, dimension};
    HostMemory memory(FederatedServer<FedAvgRule>::memory(dimension, members));
    Arena arena(memory.bytes());
    const std::vector<float> first(dimension);
    auto server = FederatedServer<FedAvgRule>::make(settings, FedAvgRule{}, first, arena).value();
    std::vector<std::uint32_t> all(members);
    std::iota(all.begin(), all.end(), 0u);
    (void)server.begin_round(all);
    std::vector<std::byte> log;
    for (std::uint32_t member = 0; member < members; ++member) {
        const ModelUpdate said{member, 0, 1.0f, view_values(updates[member])};
        const DecodedMessage message = carried({{1, member, 1, 1, 5}, said}, cost.clients, cost.server);
        const Timer timer(cost.server);
        const auto& got = std::get<ModelUpdate>(message.message().body);
        const Update update = update_of(member, as_floats(got.values));
        if (!server.check(update) || !(squared_norm(update.values) < 1e18)) std::abort();
        log.clear();
        append_record(log, {.kind = RecordKind::update, .node = member, .payload = got.values.bytes}, 0);
        if (server.receive(update).outcome == Reception::refused) std::abort();
    }
    return cost;
}

Cost masked(std::span<const std::vector<float>> updates, std::size_t dropped) {
    const auto members = static_cast<std::uint32_t>(updates.size());
    Cost cost;
    MaskRoundSettings settings;
    settings.nonce = 5;
    settings.attempt = 9;
    settings.dimension = static_cast<std::uint32_t>(updates.front().size());
    std::vector<std::uint32_t> all(members);
    std::iota(all.begin(), all.end(), 0u);
    std::vector<std::unique_ptr<MaskMember>> machines;
    for (std::uint32_t member = 0; member < members; ++member) machines.push_back(std::make_unique<MaskMember>());
    std::unique_ptr<MaskRound> round;
    {
        const Timer timer(cost.server);
        round = std::make_unique<MaskRound>(settings, all, system_secrets);
    }
    while (round->stage() != MaskRound::Stage::over) {
        for (std::uint32_t member = 0; member < members; ++member) {
            if (round->stage() >= MaskRound::Stage::updates && member < dropped) continue;
            std::optional<MaskExchange> word;
            {
                const Timer timer(cost.server);
                word = round->word_for(member);
            }
            MaskMember& machine = *machines[member];
            if (word) {
                const DecodedMessage told =
                    carried({{1, coordinator_number, 0, 0, 5}, *word}, cost.server, cost.clients);
                const Timer timer(cost.clients);
                if (!machine.take({5, member, settings.dimension}, std::get<MaskExchange>(told.message().body)))
                    std::abort();
            }
            MessageBody said;
            const bool sends = round->stage() == MaskRound::Stage::updates;
            {
                const Timer timer(cost.clients);
                if (sends)
                    said = machine.masked(update_of(member, updates[member]));
                else if (const MaskExchange* answer = machine.answer())
                    said = *answer;
                else
                    continue;
                machine.answered();
            }
            const DecodedMessage heard = carried({{1, member, 1, 1, 5}, said}, cost.clients, cost.server);
            const Timer timer(cost.server);
            const auto* update = std::get_if<MaskedUpdate>(&heard.message().body);
            const auto taken = update != nullptr
                                   ? round->take(member, 1, 1, *update)
                                   : round->take(member, std::get<MaskExchange>(heard.message().body));
            if (!taken) std::abort();
        }
        const Timer timer(cost.server);
        round->next();
    }
    const Timer timer(cost.server);
    if (!round->sum() || round->sum()->members.size() + dropped != members) std::abort();
    const std::vector<std::byte> payload = sum_payload(*round->sum());
    std::vector<std::byte> log;
    append_record(log, {.kind = RecordKind::round_summed, .payload = payload}, 0);
    std::vector<float> model(settings.dimension);
    for (std::size_t k = 0; k < model.size(); ++k)
        model[k] -= static_cast<float>(7.6e-6 * static_cast<double>(round->sum()->values[k]));
    return cost;
}

template <class Run>
void report(const char* what, std::size_t members, int runs, const Run& run, double& server, double& client) {
    std::vector<double> servers, clients;
    for (int k = 0; k < runs; ++k) {
        const Cost cost = run();
        servers.push_back(cost.server);
        clients.push_back(cost.clients / static_cast<double>(members));
    }
    std::ranges::sort(servers);
    std::ranges::sort(clients);
    server = servers[servers.size() / 2];
    client = clients[clients.size() / 2];
    fmt::print("{:<28} server {:8.2f} ms   one client {:7.3f} ms   together {:8.2f} ms\n", what, server, client,
               server + client);
}

}  // namespace

int main(int count, char** words) {
    const auto number = [&](int at, long otherwise) { return count > at ? std::atol(words[at]) : otherwise; };
    const auto members = static_cast<std::size_t>(number(1, 100)),
               dimension = static_cast<std::size_t>(number(2, 100'000));
    const auto runs = static_cast<int>(number(3, 9));
    Stream random(1, 0, Purpose::samples);
    std::vector<std::vector<float>> updates(members, std::vector<float>(dimension));
    for (std::vector<float>& update : updates) {
        for (float& value : update) value = 0.1f * random.normal();
    }
    double server = 0, client = 0, plain_server = 0, plain_client = 0;
    fmt::print("{} members, {} numbers, groups of at most 17, medians of {} runs\n", members, dimension, runs);
    report(
        "in clear", members, runs, [&] { return in_clear(updates); }, plain_server, plain_client);
    for (const std::size_t dropped : {std::size_t{0}, members / 20, members / 10}) {
        const std::string what = fmt::format("masked, {} drop out", dropped);
        report(
            what.c_str(), members, runs, [&] { return masked(updates, dropped); }, server, client);
        fmt::print("{:<28} {:.2f} times\n", "", (server + client) / (plain_server + plain_client));
    }
    return 0;
}
