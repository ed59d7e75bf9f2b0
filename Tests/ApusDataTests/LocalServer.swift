import Foundation
import Synchronization

/// A file server of the smallest kind on the loopback device, with faults on demand.
final class LocalServer: Sendable {
  struct Reply: Sendable {
    var status = 200
    var body: [UInt8] = []
    /// Close the connection after so many bytes of the body.
    var cutAfter: Int?
    /// Answer a range with all of the body.
    var ignoresRange = false
  }

  struct Request: Sendable {
    let path: String
    /// The beginning of the range asked for.
    let start: Int?
    /// How many requests came before.
    let number: Int
  }

  let address: String
  private let listener: Int32
  private let log = Mutex<[Request]>([])

  var requests: [Request] { log.withLock { $0 } }

  init(_ answer: @escaping @Sendable (Request) -> Reply) throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = listener
    let isBound = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0
          && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
    address = "http://127.0.0.1:\(UInt16(bigEndian: name.sin_port))/"
    Thread.detachNewThread { [self] in
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { return }
        serve(connection, answer)
        close(connection)
      }
    }
  }

  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve(_ connection: Int32, _ answer: (Request) -> Reply) {
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while !text.suffix(4).elementsEqual([13, 10, 13, 10]) {
      guard recv(connection, &byte, 1, 0) == 1, text.count < 1 << 16 else { return }
      text.append(byte)
    }
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\r\n")
    let words = lines.first?.split(separator: " ") ?? []
    guard words.count > 1 else { return }
    let range = lines.first { $0.lowercased().hasPrefix("range: bytes=") }
    let start = range.flatMap { Int($0.dropFirst(13).prefix { $0 != "-" }) }
    let request = log.withLock { log in
      let request = Request(path: String(words[1].dropFirst()), start: start, number: log.count)
      log.append(request)
      return request
    }
    var reply = answer(request)
    var head = ""
    if let start, reply.status == 200, !reply.ignoresRange {
      if start >= reply.body.count {
        reply = Reply(status: 416)
      } else {
        head = "Content-Range: bytes \(start)-\(reply.body.count - 1)/\(reply.body.count)\r\n"
        reply.status = 206
        reply.body.removeFirst(start)
      }
    }
    head =
      "HTTP/1.1 \(reply.status) X\r\nContent-Length: \(reply.body.count)\r\n"
      + "Connection: close\r\n\(head)\r\n"
    let sent = reply.body.prefix(reply.cutAfter ?? reply.body.count)
    let bytes = Array(head.utf8) + sent
    var position = 0
    while position < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(
          connection, $0.baseAddress.map { $0 + position }, bytes.count - position,
          Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      position += count
    }
  }
}
