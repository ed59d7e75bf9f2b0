extension TimeStamp {
  /// The next times of a column, at its last distance: `count` texts; nil where it has no distance that
  /// times can be written in.
  package static func continuing(_ times: [TimeStamp], count: Int) -> [String]? {
    guard let last = times.last, times.count > 1 else { return nil }
    let before = times[times.count - 2]
    // Enough to tell months from steps of 28, 30 or 365 days.
    if let day = dayOfMonth(times.suffix(24)) {
      let months = last.months - before.months
      return (1...max(count, 1)).map { step in
        let month = last.months + months * step
        let (year, place) = (month / 12, month % 12 + 1)
        return last.text(
          year, place, min(day, days(inMonth: place, of: year)),
          secondOfDay: last.secondOfDay)
      }
    }
    let distance = last.value - before.value
    guard distance > 0 else { return nil }
    return (1...max(count, 1)).map { last.text(at: last.local + distance * Double($0)) }
  }

  /// The day on which every month of a column has its time, 31 for the last day of all; nil where the
  /// times are not those of months. A month that is too short has its last day instead.
  private static func dayOfMonth(_ times: ArraySlice<TimeStamp>) -> Int? {
    guard let first = times.first else { return nil }
    var (day, areEnds) = (0, true)
    for time in times {
      guard let date = time.date, time.isLike(first), time.secondOfDay == first.secondOfDay else {
        return nil
      }
      day = max(day, date.day)
      areEnds = areEnds && date.day == time.lastDay
    }
    for (before, time) in zip(times, times.dropFirst()) where time.months <= before.months {
      return nil
    }
    guard times.allSatisfy({ $0.date?.day == min(day, $0.lastDay) }) else { return nil }
    return areEnds ? 31 : day
  }

  /// Months since the year 0.
  private var months: Int { date.map { $0.year * 12 + $0.month - 1 } ?? 0 }
  private var lastDay: Int {
    date.map { Self.days(inMonth: $0.month, of: $0.year) } ?? 0
  }
}
