// One step of one parameter's elements `[begin, end)`: everything is read and written once. The
// formulas are those of `torch.optim`, as `OptimizerStep` of the seam states them.
typedef struct {
  VF gradient, parameter, state[3];
} element;

static inline void sgd_element(const apus_step *s, element *e) {
  VF g = fma_f((VF)(s->decay), e->parameter, e->gradient);
  if (s->momentum != 0.0f) {
    const VF v = s->is_first ? g : fma_f(e->state[0], (VF)(s->momentum), g * s->dampening_complement);
    e->state[0] = v;
    g = s->nesterov ? fma_f(v, (VF)(s->momentum), g) : v;
  }
  e->parameter = fma_f(g, (VF)(-s->rate), e->parameter);
}

static inline void adam_element(const apus_step *s, element *e) {
  VF g = e->gradient, p = e->parameter;
  if (s->decoupled)
    p = p * (1.0f - s->rate * s->decay);
  else
    g = fma_f((VF)(s->decay), p, g);
  const VF m = fma_f(e->state[0], (VF)(s->beta1), g * s->beta1_complement);
  const VF v = fma_f(e->state[1], (VF)(s->beta2), g * g * s->beta2_complement);
  const VF root = fma_f(sqrt_f(v), (VF)(s->root_correction), (VF)(s->epsilon));
  e->state[0] = m;
  e->state[1] = v;
  e->parameter = fma_f(m / root, (VF)(-s->step_size), p);
}

static inline void rmsprop_element(const apus_step *s, element *e) {
  const VF g = fma_f((VF)(s->decay), e->parameter, e->gradient);
  const VF square = fma_f(e->state[0], (VF)(s->beta1), g * g * s->beta1_complement);
  e->state[0] = square;
  VF variance = square;
  int next = 1;
  if (s->centered) {
    const VF average = fma_f(e->state[1], (VF)(s->beta1), g * s->beta1_complement);
    e->state[1] = average;
    variance = square - average * average;
    next = 2;
  }
  VF direction = g / (sqrt_f(variance) + s->epsilon);
  if (s->momentum != 0.0f) {
    direction = fma_f(e->state[next], (VF)(s->momentum), direction);
    e->state[next] = direction;
  }
  e->parameter = fma_f(direction, (VF)(-s->rate), e->parameter);
}

static inline void adagrad_element(const apus_step *s, element *e) {
  const VF g = fma_f((VF)(s->decay), e->parameter, e->gradient);
  const VF sum = fma_f(g, g, e->state[0]);
  e->state[0] = sum;
  e->parameter = fma_f(g / (sqrt_f(sum) + s->epsilon), (VF)(-s->rate), e->parameter);
}

#define STEP(NAME, STATES)                                                                    \
  static void NAME##_step(                                                                    \
      const apus_step *rule, const apus_slot *slot, ptrdiff_t begin, ptrdiff_t end, float scale) { \
    const apus_step constants = *rule;                                                        \
    const apus_step *s = &constants;                                                          \
    const int states = (STATES);                                                              \
    for (ptrdiff_t i = begin; i < end; i += VL) {                                             \
      const ptrdiff_t n = end - i < VL ? end - i : VL;                                        \
      element e;                                                                              \
      if (n == VL) {                                                                          \
        e.gradient = load(slot->gradient + i) * scale;                                        \
        e.parameter = load(slot->parameter + i);                                              \
        for (int k = 0; k < states; k++) e.state[k] = load(slot->state[k] + i);               \
        NAME##_element(s, &e);                                                                \
        store(slot->new_parameter + i, e.parameter);                                          \
        for (int k = 0; k < states; k++) store(slot->new_state[k] + i, e.state[k]);           \
      } else {                                                                                \
        e.gradient = load_part(slot->gradient + i, n, 0.0f) * scale;                          \
        e.parameter = load_part(slot->parameter + i, n, 0.0f);                                \
        for (int k = 0; k < states; k++) e.state[k] = load_part(slot->state[k] + i, n, 1.0f); \
        NAME##_element(s, &e);                                                                \
        store_part(slot->new_parameter + i, e.parameter, n);                                  \
        for (int k = 0; k < states; k++) store_part(slot->new_state[k] + i, e.state[k], n);   \
      }                                                                                       \
    }                                                                                         \
  }
STEP(sgd, s->momentum != 0.0f ? 1 : 0)
STEP(adam, 2)
STEP(rmsprop, 1 + (s->centered ? 1 : 0) + (s->momentum != 0.0f ? 1 : 0))
STEP(adagrad, 1)

static void optimizer_step(
    const apus_step *s, const apus_slot *slot, ptrdiff_t begin, ptrdiff_t end, float scale) {
  switch (s->rule) {
    case APUS_SGD: sgd_step(s, slot, begin, end, scale); break;
    case APUS_ADAM: adam_step(s, slot, begin, end, scale); break;
    case APUS_RMSPROP: rmsprop_step(s, slot, begin, end, scale); break;
    case APUS_ADAGRAD: adagrad_step(s, slot, begin, end, scale); break;
  }
}
