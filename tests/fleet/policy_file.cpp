// SPDX-License-Identifier: Apache-2.0
#include "fleet/policy_file.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;

namespace {

/// A file that is gone with its test.
class File {
public:
    explicit File(const std::string& bytes) {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-file-XXXXXX").string();
        const int descriptor = ::mkstemp(name.data());
        REQUIRE(descriptor >= 0);
        ::close(descriptor);
        path_ = name;
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    ~File() { std::filesystem::remove(path_); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

PolicyFile sample_policy(bool gaussian) {
    const std::vector<int> hidden{3};
    PolicyFile policy{"a name", *MlpShape::make(2, hidden, 2, Activation::relu), gaussian, {}};
    policy.parameters.resize(policy.shape.parameters() + (gaussian ? 2 : 0));
    for (std::size_t k = 0; k < policy.parameters.size(); ++k) policy.parameters[k] = 0.1f * static_cast<float>(k);
    return policy;
}

Result<PolicyFile> read_policy(const std::string& bytes) {
    return PolicyFile::read(File(bytes).path());
}

/// The bytes of a policy file after a change to its fields or arrays: well-formed, but what it says is not.
std::string changed(void (*change)(ArrayFile&)) {
    Result<ArrayFile> file = ArrayFile::parse(sample_policy(false).bytes(), "policy");
    REQUIRE(file);
    change(*file);
    return file->bytes();
}

}  // namespace

TEST_CASE("a policy file reads back as it was written") {
    for (const bool gaussian : {false, true}) {
        const PolicyFile policy = sample_policy(gaussian);
        const Result<PolicyFile> read = read_policy(policy.bytes());
        REQUIRE(read);
        CHECK(read->experiment == policy.experiment);
        CHECK(read->shape == policy.shape);
        CHECK(read->gaussian == policy.gaussian);
        CHECK(read->parameters == policy.parameters);
        CHECK(read->bytes() == policy.bytes());
    }
}

TEST_CASE("any changed bit and any cut of a .dunlin file is noticed") {
    const std::string bytes = sample_policy(true).bytes();
    for (std::size_t k = 0; k < bytes.size(); ++k) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = bytes;
            damaged[k] = static_cast<char>(damaged[k] ^ (1 << bit));
            if (ArrayFile::parse(damaged, "policy")) FAIL("byte " << k << ", bit " << bit);
        }
        if (ArrayFile::parse(bytes.substr(0, k), "policy")) FAIL("cut after " << k << " bytes");
    }
    CHECK(ArrayFile::parse(bytes + '\0', "policy").error().code == Code::file_rest);
}

TEST_CASE("another kind of file, a newer version and a foreign file are told apart") {
    const std::string bytes = sample_policy(false).bytes();
    CHECK(ArrayFile::parse(bytes, "checkpoint").error().code == Code::file_magic);
    CHECK(ArrayFile::parse("PK\x03\x04", "policy").error().code == Code::file_magic);
    CHECK(ArrayFile::parse("", "policy").error().code == Code::file_magic);
    std::string newer = bytes;
    newer[8] = 2;
    CHECK(ArrayFile::parse(newer, "policy").error() == Error{Code::file_version, 2, 1});
    CHECK(PolicyFile::read("no/such/file").error().code == Code::file_missing);
    CHECK(PolicyFile::read(std::filesystem::temp_directory_path()).error().code == Code::file_missing);
    std::string huge = bytes;
    const std::uint64_t payload = std::numeric_limits<std::uint64_t>::max() - 8;
    std::memcpy(huge.data() + 16, &payload, sizeof payload);
    CHECK(ArrayFile::parse(huge, "policy").error().code == Code::file_too_large);
}

TEST_CASE("a well-formed file that describes no policy is refused") {
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields.erase("inputs"); })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "two"; })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "-2"; })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "99999999999"; })).error().code ==
          Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["activation"] = "77"; })).error().code ==
          Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.arrays.erase("widths"); })).error().code == Code::file_syntax);
    CHECK(
        read_policy(changed([](ArrayFile& f) { f.arrays["widths"] = std::vector<std::int32_t>{}; })).error().code ==
        Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) {
              f.arrays["widths"] = std::vector<float>{3, 2};
          }))
              .error()
              .code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) {
              f.arrays["widths"] = std::vector<std::int32_t>{-3, 2};
          }))
              .error()
              .code == Code::bad_width);
    CHECK(read_policy(changed([](ArrayFile& f) { f.arrays["widths"] = std::vector<std::int32_t>(20, 2); }))
              .error()
              .code == Code::too_many_layers);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["gaussian"] = std::string("1"); })).error() ==
          Error{Code::shape_mismatch, 17, 19});
    CHECK(read_policy(changed([](ArrayFile& f) {
              std::get<std::vector<float>>(f.arrays["parameters"])[5] = std::numeric_limits<float>::infinity();
          })).error() == Error{Code::not_finite, 5});
}

TEST_CASE("a checkpoint reads back as it was written") {
    MetaTrainerState state;
    state.iteration = 7;
    state.environment_steps = 1'000'000'000'000;
    state.gradients = 12;
    state.optimiser_steps = 3;
    state.parameters = {1, 2};
    state.mean = {3, 4};
    state.square = {5, 6};
    state.value_means = {0.5f};
    state.value_counts = {9};
    state.stream_epochs = {4'000'000'000u, 0xfffff'fffffffull};
    const File file(checkpoint_bytes(state));
    const Result<MetaTrainerState> read = read_checkpoint(file.path());
    REQUIRE(read);
    CHECK(read->iteration == state.iteration);
    CHECK(read->environment_steps == state.environment_steps);
    CHECK(read->gradients == state.gradients);
    CHECK(read->optimiser_steps == state.optimiser_steps);
    CHECK(read->parameters == state.parameters);
    CHECK(read->mean == state.mean);
    CHECK(read->square == state.square);
    CHECK(read->value_means == state.value_means);
    CHECK(read->value_counts == state.value_counts);
    CHECK(read->stream_epochs == state.stream_epochs);
    ArrayFile early = *ArrayFile::parse(checkpoint_bytes(state), "checkpoint");
    early.arrays.erase("stream_epochs_high");
    CHECK(read_checkpoint(File(early.bytes()).path())->stream_epochs ==
          std::vector<std::uint64_t>{4'000'000'000u, 0xffffffffu});
    early.arrays["stream_epochs_high"] = std::vector<std::int32_t>{1};
    CHECK(read_checkpoint(File(early.bytes()).path()).error().code == Code::file_syntax);
    CHECK(read_checkpoint(File(sample_policy(false).bytes()).path()).error().code == Code::file_magic);
}
