// SPDX-License-Identifier: Apache-2.0
// A masked round whose messages come late, twice, changed or not at all: what is opened is the sum of the members that it
// names, or nothing is; and a member never gives both shares of a peer.
#include "core/robust/ring_values.hpp"
#include "fleet/masks/mask_member.hpp"
#include "fleet/masks/mask_round.hpp"
#include "fuzz.hpp"

#include <map>
#include <memory>

using namespace dunlin;

namespace {

constexpr std::uint32_t members = 7, dimension = 3;

class Decisions {
public:
    Decisions(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    bool any() const { return at_ < size_; }
    std::uint8_t below(std::uint8_t limit) {
        return at_ < size_ ? static_cast<std::uint8_t>(data_[at_++] % limit) : std::uint8_t{0};
    }

private:
    const std::uint8_t* data_;
    std::size_t size_, at_ = 0;
};

/// As it was said, or with one byte or one member of it changed.
struct Copy {
    std::vector<std::uint32_t> numbers;
    std::vector<std::byte> bytes;
    MaskExchange said;

    Copy(const MaskExchange& like, Decisions& decide)
        : numbers(like.members.begin(), like.members.end()),
          bytes(like.bytes.begin(), like.bytes.end()),
          said(like) {
        switch (decide.below(12)) {
            case 0:
                if (!bytes.empty()) bytes[decide.below(255) % bytes.size()] ^= std::byte{1};
                break;
            case 1:
                if (!numbers.empty()) numbers.erase(numbers.begin() + decide.below(255) % numbers.size());
                break;
            case 2:
                bytes.resize(bytes.size() / (1 + decide.below(3)));
                break;
            case 3:
                said.step = static_cast<MaskStep>(decide.below(7));
                break;
            case 4:
                said.attempt += decide.below(2);
                break;
            default:
                break;
        }
        said.members = numbers;
        said.bytes = bytes;
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Decisions decide(data, size);
    std::vector<std::unique_ptr<MaskMember>> machines;
    std::vector<std::uint32_t> all;
    std::vector<std::vector<float>> values;
    for (std::uint32_t member = 0; member < members; ++member) {
        machines.push_back(std::make_unique<MaskMember>());
        all.push_back(member);
        values.push_back({static_cast<float>(member), -1.0f, 0.25f * static_cast<float>(member)});
    }
    MaskRoundSettings settings;
    settings.nonce = 3;
    settings.attempt = 8;
    settings.dimension = dimension;
    MaskRound round(settings, all, system_secrets);
    std::map<std::uint32_t, std::vector<std::byte>> opened;
    bool meddled = false;
    for (int turn = 0; turn < 400 && decide.any() && round.stage() != MaskRound::Stage::over; ++turn) {
        const std::uint32_t member = decide.below(members);
        MaskMember& machine = *machines[member];
        switch (decide.below(5)) {
            case 0:
                if (round.complete() || decide.below(4) == 0) round.next();
                break;
            case 1:
            case 2: {
                const auto word = round.word_for(member);
                if (!word) break;
                const Copy copy(*word, decide);
                meddled = meddled || copy.bytes.size() != word->bytes.size() ||
                          !std::equal(copy.bytes.begin(), copy.bytes.end(), word->bytes.begin());
                (void)machine.take({settings.nonce, member, dimension}, copy.said);
                const MaskExchange* answer = machine.answer();
                if (answer == nullptr) break;
                if (answer->step == MaskStep::opened) {
                    const std::vector<std::byte> bytes(answer->bytes.begin(), answer->bytes.end());
                    fuzz::require(opened.emplace(member, bytes).first->second == bytes);
                }
                const Copy back(*answer, decide);
                meddled = meddled || back.bytes.size() != answer->bytes.size() ||
                          !std::equal(back.bytes.begin(), back.bytes.end(), answer->bytes.begin());
                (void)round.take(member, back.said);
                machine.answered();
                break;
            }
            case 3: {
                Update update;
                update.node = member;
                update.incarnation = update.sequence = 1;
                update.values = values[member];
                if (!machine.may_mask(update) || !machine.ready(update)) break;
                MaskedUpdate said = machine.masked(update);
                if (decide.below(8) == 0) said.bytes = said.bytes.first(said.bytes.size() / 2);
                (void)round.take(member, 1, 1, said);
                break;
            }
            default:
                break;
        }
    }
    // A key or a commitment that was changed on its way gives a sum that nobody can tell from a right one.
    if (!round.sum() || meddled) return 0;
    const RingValues ring;
    std::vector<std::int64_t> expected(dimension);
    for (const MaskedSum::Part& part : round.sum()->members) {
        std::vector<std::uint64_t> integers(dimension);
        ring.to_ring(values[part.member], 1, integers);
        for (std::size_t k = 0; k < dimension; ++k) expected[k] += static_cast<std::int64_t>(integers[k]);
    }
    fuzz::require(round.sum()->members.size() >= least_summed);
    fuzz::require(round.sum()->values == expected);
    return 0;
}
