// A view of an Asker: F restricted to a slice of its inputs.
#pragma once

#include "src/stages/ask.hpp"

namespace crease {

/// Asks f(t) = F(t frame) on behalf of a part of a run. Lines and fans of the slice are lines and
/// fans of F, and are asked as such. Queries, rounds, seconds, limits, events and warnings are
/// those of the Asker behind it, which must outlive this one.
class SliceAsker final : public Asker {
 public:
  /// frame [m, d]: the directions that the m coordinates of a slice stand for.
  SliceAsker(Asker& whole, DeviceMatrix frame);

  void enter(std::string_view stage) override { whole_.enter(stage); }

  DeviceMatrix points(ConstDeviceView t, Round round = Round::next,
                      HostMatrix* sigmas = nullptr) override;
  DeviceMatrix fan(const Fan& fan, Round round = Round::next,
                   HostMatrix* sigmas = nullptr) override;
  HostMatrix residuals(const Lines& lines, const std::vector<double>& t, const DeviceNetwork* known,
                       Round round = Round::next, HostMatrix* sigmas = nullptr) override;

  void limit(std::optional<Index> queries) override { whole_.limit(queries); }
  Index left() const override { return whole_.left(); }
  void finish_regardless() override { whole_.finish_regardless(); }
  bool gives_up() const override { return whole_.gives_up(); }
  Index asked() const override { return whole_.asked(); }
  Index charged() const override { return whole_.charged(); }
  Index unanswered() const override { return whole_.unanswered(); }
  Index rounds() const override { return whole_.rounds(); }
  void set_progress(Index kinks, Index neurons, std::optional<double> relative_error) override {
    whole_.set_progress(kinks, neurons, relative_error);
  }
  void report(std::string message = {}) override { whole_.report(std::move(message)); }
  void warn(std::string message) override { whole_.warn(std::move(message)); }
  void write(RunReport& report) override { whole_.write(report); }

 private:
  DeviceMatrix embed(ConstDeviceView t);

  Asker& whole_;
  DeviceMatrix frame_;
};

}  // namespace crease
