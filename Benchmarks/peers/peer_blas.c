// A GEMM library as a peer: reads "NAME SECONDS" lines, answers each with a JSON list of milliseconds.
// Built twice: with -DCLBLAST against CLBlast on the first OpenCL device, else against OpenBLAS.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef CLBLAST
#define CL_TARGET_OPENCL_VERSION 120
#include <clblast_c.h>
#else
#include <cblas.h>
#endif

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e3 * t.tv_sec + 1e-6 * t.tv_nsec;
}

#ifdef CLBLAST
static cl_command_queue queue;
static cl_context context;
static cl_mem a, b, c;
static void prepare(const float *ha, const float *hb, size_t m, size_t n, size_t k) {
  a = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4 * m * k, (void *)ha, NULL);
  b = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4 * k * n, (void *)hb, NULL);
  c = clCreateBuffer(context, 0, 4 * m * n, NULL, NULL);
}
static void multiply(size_t m, size_t n, size_t k) {
  CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, m, n, k, 1, a, 0, k,
               b, 0, n, 0, c, 0, n, &queue, NULL);
  clFinish(queue);
}
static void finish(void) {
  clReleaseMemObject(a);
  clReleaseMemObject(b);
  clReleaseMemObject(c);
}
static void open_library(void) {
  cl_platform_id platform;
  cl_device_id device;
  if (clGetPlatformIDs(1, &platform, NULL) ||
      clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL))
    exit(1);
  context = clCreateContext(NULL, 1, &device, NULL, NULL, NULL);
  queue = clCreateCommandQueue(context, device, 0, NULL);
  printf("{\"name\":\"CLBlast\",\"version\":\"Debian\"}\n");
}
#else
static const float *ha, *hb;
static float *hc;
static void prepare(const float *x, const float *y, size_t m, size_t n, size_t k) {
  ha = x, hb = y, hc = malloc(4 * m * n);
  memset(hc, 0, 4 * m * n);
}
static void multiply(size_t m, size_t n, size_t k) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, ha, k, hb, n, 0, hc, n);
}
static void finish(void) { free(hc); }
static void open_library(void) {
  printf("{\"name\":\"OpenBLAS\",\"version\":\"%s %s\"}\n", OPENBLAS_VERSION,
         openblas_get_corename());
}
#endif

int main(void) {
  open_library();
  fflush(stdout);
  char name[128];
  double seconds;
  while (scanf("%127s %lf", name, &seconds) == 2) {
    size_t m, n, k;
    if (sscanf(name, "gemm-%zux%zux%zu", &m, &n, &k) != 3) {
      puts("[]");
      fflush(stdout);
      continue;
    }
    float *x = malloc(4 * m * k), *y = malloc(4 * k * n);
    for (size_t i = 0; i < m * k; i++) x[i] = rand() / (float)RAND_MAX - 0.5f;
    for (size_t i = 0; i < k * n; i++) y[i] = rand() / (float)RAND_MAX - 0.5f;
    prepare(x, y, m, n, k);
    for (int i = 0; i < 3; i++) multiply(m, n, k);
    double end = now() + 1e3 * seconds;
    printf("[");
    for (int i = 0; i < 5 || now() < end; i++) {
      double start = now();
      multiply(m, n, k);
      printf("%s%.6f", i ? "," : "", now() - start);
    }
    puts("]");
    fflush(stdout);
    finish();
    free(x);
    free(y);
  }
}
