import ApusDevice
import Foundation

/// A point in time as tables write it: a date (ISO 8601, also with slashes), with or without a time of
/// day, a month, or a plain number.
///
/// Times have no zone, or all the same; `Z` and offsets such as `+02:00` are counted.
package struct TimeStamp: Sendable, Hashable {
  /// Seconds, or the number; months for dates without days.
  package let value: Double
  private let style: Style
  let date: (year: Int, month: Int, day: Int)?
  /// As written: without the offset of its zone.
  let local: Double

  /// How it was written, so that another time can be written alike.
  private enum Style: Sendable, Hashable {
    case number
    case month(separator: Character, yearDigits: Int)
    case day(separator: Character)
    case time(separator: Character, between: Character, hasSeconds: Bool, zone: String)
  }

  package static func == (a: TimeStamp, b: TimeStamp) -> Bool {
    a.value == b.value && a.style == b.style
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(value) }

  private init(
    value: Double, style: Style, date: (year: Int, month: Int, day: Int)? = nil,
    local: Double? = nil
  ) {
    self.value = value
    self.style = style
    self.date = date
    self.local = local ?? value
  }

  /// nil for what is no time.
  package init?(_ text: String) {
    let text = text.trimmingCharacters(in: .whitespaces)
    if let number = Double(text), number.isFinite,
      text.allSatisfy({ "0123456789.+-eE".contains($0) })
    {
      self.init(value: number, style: .number)
      return
    }
    guard let separator = text.first(where: { $0 == "-" || $0 == "/" }) else { return nil }
    let between = text.first { $0 == "T" || $0 == " " }
    let parts =
      between.map {
        text.split(separator: $0, maxSplits: 1, omittingEmptySubsequences: false)
      } ?? [text[...]]
    let fields = parts[0].split(separator: separator, omittingEmptySubsequences: false)
    guard fields.count == 2 || fields.count == 3, let year = Self.whole(fields[0], digits: 1...4),
      let month = Self.whole(fields[1], digits: 1...2), (1...12).contains(month)
    else { return nil }
    if fields.count == 2 {
      guard parts.count == 1 else { return nil }
      self.init(
        value: Double(year * 12 + month - 1),
        style: .month(separator: separator, yearDigits: fields[0].count), date: (year, month, 1))
      return
    }
    guard fields[0].count == 4, let day = Self.whole(fields[2], digits: 1...2),
      (1...Self.days(inMonth: month, of: year)).contains(day)
    else { return nil }
    let start = Double(Self.dayNumber(year, month, day)) * 86400
    guard let between, parts.count == 2 else {
      self.init(value: start, style: .day(separator: separator), date: (year, month, day))
      return
    }
    guard let clock = Self.clock(String(parts[1])) else { return nil }
    self.init(
      value: start + clock.seconds - clock.offset,
      style: .time(
        separator: separator, between: between, hasSeconds: clock.hasSeconds, zone: clock.zone),
      date: (year, month, day), local: start + clock.seconds)
  }

  /// `HH:MM`, `HH:MM:SS` with or without fraction, and a zone.
  private static func clock(
    _ text: String
  ) -> (seconds: Double, offset: Double, hasSeconds: Bool, zone: String)? {
    var clock = text
    var (zone, offset) = ("", 0.0)
    if clock.hasSuffix("Z") {
      (zone, clock) = ("Z", String(clock.dropLast()))
    } else if let sign = clock.firstIndex(where: { $0 == "+" || $0 == "-" }) {
      zone = String(clock[sign...])
      let parts = zone.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let hours = whole(parts[0], digits: 2...2), hours < 24,
        let minutes = whole(parts[1], digits: 2...2), minutes < 60
      else { return nil }
      offset = Double(hours * 3600 + minutes * 60) * (zone.first == "-" ? -1 : 1)
      clock = String(clock[..<sign])
    }
    let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3, let hours = whole(parts[0], digits: 1...2),
      let minutes = whole(parts[1], digits: 2...2), hours < 24, minutes < 60
    else { return nil }
    var seconds = 0.0
    if parts.count == 3 {
      guard let value = Double(parts[2]), value >= 0, value < 61,
        parts[2].allSatisfy({ $0.isNumber || $0 == "." })
      else { return nil }
      seconds = value
    }
    return (Double(hours * 3600 + minutes * 60) + seconds, offset, parts.count == 3, zone)
  }

  private static func whole(_ text: Substring, digits: ClosedRange<Int>) -> Int? {
    digits.contains(text.count) && text.allSatisfy { "0123456789".contains($0) } ? Int(text) : nil
  }

  static func days(inMonth month: Int, of year: Int) -> Int {
    if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
    return [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  /// Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is last.
  private static func dayNumber(_ year: Int, _ month: Int, _ day: Int) -> Int {
    let y = month > 2 ? year : year - 1
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    return 365 * y + (y / 4 - y / 100 + y / 400) + dayOfYear - 719_468
  }

  /// Whether two times can stand in one column.
  package func isLike(_ other: TimeStamp) -> Bool {
    switch (style, other.style) {
    case (.number, .number), (.month, .month): true
    case (.number, _), (_, .number), (.month, _), (_, .month): false
    default: true
    }
  }

  var secondOfDay: Double {
    if case .time = style { local - (local / 86400).rounded(.down) * 86400 } else { 0 }
  }

  func text(at value: Double) -> String {
    guard style != .number else {
      return value.rounded() == value && abs(value) < 1e15
        ? String(Int64(value)) : String(value)
    }
    let day = (value / 86400).rounded(.down)
    // The year from the number of days, and what is left of it.
    var year = 1970 + Int((day / 365.2425).rounded(.down))
    while Double(Self.dayNumber(year + 1, 1, 1)) <= day { year += 1 }
    while Double(Self.dayNumber(year, 1, 1)) > day { year -= 1 }
    var (month, rest) = (1, Int(day) - Self.dayNumber(year, 1, 1))
    while month < 12, rest >= Self.days(inMonth: month, of: year) {
      rest -= Self.days(inMonth: month, of: year)
      month += 1
    }
    return text(year, month, rest + 1, secondOfDay: value - day * 86400)
  }

  func text(_ year: Int, _ month: Int, _ day: Int, secondOfDay: Double) -> String {
    func padded(_ value: Int, _ width: Int = 2) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    switch style {
    case .number: return text(at: value)
    case .month(let separator, let digits):
      return padded(year, digits) + String(separator) + padded(month)
    case .day(let separator):
      return [padded(year, 4), padded(month), padded(day)].joined(separator: String(separator))
    case .time(let separator, let between, let hasSeconds, let zone):
      let date = [padded(year, 4), padded(month), padded(day)].joined(separator: String(separator))
      // Rounded to milliseconds: sums of distances are not exact.
      let total = Int((secondOfDay * 1000).rounded())
      let (second, fraction) = (total / 1000 % 60, total % 1000)
      var clock = padded(total / 3_600_000) + ":" + padded(total / 60000 % 60)
      if hasSeconds || second != 0 || fraction != 0 { clock += ":" + padded(second) }
      if fraction != 0 { clock += "." + padded(fraction, 3) }
      return date + String(between) + clock + zone
    }
  }
}
