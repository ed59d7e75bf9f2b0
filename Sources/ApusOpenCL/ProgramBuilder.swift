import ApusDevice
import COpenCL

/// Builds OpenCL programs for one device, from the disk cache where it has them.
struct ProgramBuilder {
  let context: cl_context
  let device: cl_device_id
  let description: OpenCLDeviceDescription
  let cache: ProgramCache
  let optimizes: Bool
  /// Of a part of a device, its index.
  let part: Int?

  /// Macros that every kernel file may use.
  var commonOptions: String {
    // A compiler inside a driver would print its warnings (a loop not unrolled) among the user's results.
    var options = "-cl-std=CL1.2 -w -DAPUS_GPU=\(description.kind == .gpu ? 1 : 0)"
    options += " -DAPUS_VECTOR_WIDTH=\(description.vectorWidth)"
    if !optimizes { options += " -cl-opt-disable" }
    if description.hasFloat64 { options += " -DAPUS_FLOAT64=1" }
    // OpenCL's own `prefetch` does nothing on a processor; clang's works where code is compiled for one.
    if description.platformName == pocl { options += " -DAPUS_PREFETCH=1" }
    // See `LaunchTurn`.
    if let part { options += " -DAPUS_DEVICE_PART=\(part)" }
    return options
  }

  /// Shared with all contexts that build the same programs.
  var turn: LaunchTurn? {
    LaunchTurn.shared(platform: description.platformName, options: commonOptions)
  }

  /// - Parameter name: what the program is called in error messages.
  func build(name: String, source: [UInt8], options: String) throws -> cl_program {
    try Self.lock.locked { try buildAlone(name: name, source: source, options: options) }
  }

  /// One build at a time in a process: drivers share their compiler between contexts, and not all
  /// of them guard it.
  private static let lock = DeviceLock()

  private func buildAlone(name: String, source: [UInt8], options: String) throws -> cl_program {
    let options = options.isEmpty ? commonOptions : commonOptions + " " + options
    let identity = [
      description.name, description.vendor, description.driverVersion,
      description.platformName, description.platformVersion, options,
    ]
    let key = ProgramCache.key(identity.map { Array($0.utf8) } + [source])
    func stored() -> cl_program? {
      cache.load(key: key).flatMap { load($0, options: options) }
    }
    if let program = stored() { return program }
    return try cache.alone(key: key) {
      if let program = stored() { return program }
      let program = try compile(name: name, source: source, options: options)
      let taken =
        if let turn { turn.whileNothingRuns { binary(of: program) } } else {
          binary(of: program)
        }
      if let binary = taken { cache.store(key: key, binary: binary) }
      return program
    }
  }

  /// Nil if the driver refuses the binary, which then is built anew.
  private func load(_ binary: [UInt8], options: String) -> cl_program? {
    var device: cl_device_id? = device
    var size = binary.count
    var binaryStatus: cl_int = 0
    var status: cl_int = 0
    let program = binary.withUnsafeBufferPointer { bytes in
      var pointer = bytes.baseAddress
      return clCreateProgramWithBinary(
        context, 1, &device, &size, &pointer, &binaryStatus, &status)
    }
    guard let program else { return nil }
    guard status == CL_SUCCESS, binaryStatus == CL_SUCCESS,
      clBuildProgram(program, 1, &device, options, nil, nil) == CL_SUCCESS
    else {
      clReleaseProgram(program)
      return nil
    }
    return program
  }

  private func compile(name: String, source: [UInt8], options: String) throws -> cl_program {
    var device: cl_device_id? = device
    var status: cl_int = 0
    var length = source.count
    let program = source.withUnsafeBytes { bytes in
      var text = bytes.bindMemory(to: CChar.self).baseAddress
      return clCreateProgramWithSource(context, 1, &text, &length, &status)
    }
    guard let program, status == CL_SUCCESS else {
      throw failure(status, "clCreateProgramWithSource(\(name))")
    }
    status = clBuildProgram(program, 1, &device, options, nil, nil)
    if status != CL_SUCCESS {
      let log = buildLog(program)
      clReleaseProgram(program)
      throw deviceError(
        """
        the OpenCL program '\(name)' does not build on \(description.name) \
        (\(statusName(status)), options '\(options)'). Build log:
        \(log)
        """)
    }
    return program
  }

  private func buildLog(_ program: cl_program) -> String {
    var size = 0
    let log = cl_program_build_info(CL_PROGRAM_BUILD_LOG)
    guard clGetProgramBuildInfo(program, device, log, 0, nil, &size) == CL_SUCCESS, size > 0
    else { return "(empty)" }
    var bytes = [UInt8](repeating: 0, count: size)
    guard clGetProgramBuildInfo(program, device, log, size, &bytes, nil) == CL_SUCCESS
    else { return "(not available)" }
    return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  private func binary(of program: cl_program) -> [UInt8]? {
    var size = 0
    let word = MemoryLayout<Int>.size
    guard
      clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARY_SIZES), word, &size, nil)
        == CL_SUCCESS, size > 0
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    let status = bytes.withUnsafeMutableBufferPointer { buffer in
      var pointer = buffer.baseAddress
      return clGetProgramInfo(program, cl_program_info(CL_PROGRAM_BINARIES), word, &pointer, nil)
    }
    return status == CL_SUCCESS ? bytes : nil
  }
}
