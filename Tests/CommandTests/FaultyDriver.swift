import Foundation

/// Makes the installed OpenCL driver round up where it should round down, always or only where its compiler
/// optimises: a library that the loader puts in front of OpenCL's and that changes the sources of programs.
struct FaultyDriver {
  /// A C compiler; Swift cannot build without one, but its path may differ.
  static let compiler: String? = {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"
    let candidates = path.split(separator: ":").flatMap { folder in
      ["clang", "cc", "gcc"].map { "\(folder)/\($0)" }
    }
    return candidates.first(where: FileManager.default.isExecutableFile)
  }()

  private let library: String
  private let folder: Folder

  init(in folder: Folder) throws {
    self.folder = folder
    library = folder.path("fault.so")
    try folder.write(Self.source, "fault.c")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.compiler ?? "/usr/bin/cc")
    process.arguments = [
      "-shared", "-fPIC", "-O1", "-o", library, folder.path("fault.c"), "-ldl",
    ]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
  }

  /// For a run of the command on the faulty driver.
  func environment(onlyOptimizing: Bool) -> [String: String] {
    [
      "LD_PRELOAD": library, "APUS_FAULT": onlyOptimizing ? "defined(__OPTIMIZE__)" : "1",
      // A folder each: what one run builds is right nowhere else.
      "APUS_CACHE": folder.path("cache \(onlyOptimizing)"),
    ]
  }

  private static let source = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdio.h>
    #include <stdlib.h>

    typedef void *Create(void *, unsigned, const char **, const size_t *, int *);

    void *clCreateProgramWithSource(
        void *context, unsigned count, const char **texts, const size_t *lengths, int *status) {
      Create *create = (Create *)dlsym(RTLD_NEXT, "clCreateProgramWithSource");
      char fault[200];
      const int length = snprintf(
          fault, sizeof fault, "#if %s\\n#undef floor\\n#define floor ceil\\n#endif\\n", getenv("APUS_FAULT"));
      const char **all = malloc((count + 1) * sizeof *all);
      size_t *sizes = malloc((count + 1) * sizeof *sizes);
      all[0] = fault;
      sizes[0] = (size_t)length;
      for (unsigned i = 0; i < count; ++i) {
        all[i + 1] = texts[i];
        sizes[i + 1] = lengths ? lengths[i] : 0;
      }
      void *program = create(context, count + 1, all, sizes, status);
      free(all);
      free(sizes);
      return program;
    }
    """
}
