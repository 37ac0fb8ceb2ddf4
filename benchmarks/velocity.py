import sys
from random import Random
from billing_pipeline_tests.guardrails.velocity.shapes import SHAPES
from billing_pipeline_tests.guardrails.velocity.scoring import *
n=int(sys.argv[1])
for shape in SHAPES:
    scores={s:Score() for s in (0,*STRENGTHS)}
    for seed in range(n):
        c=shape(Random(seed)); played,run=play_week(c,seed)
        for s,sc in scores.items(): sc.add(played,run,s,1.0)
        sc0=scores[0]
    for s,sc in scores.items():
        print(c.name,s,'inj',sc.injected,'nobase',sc.without_baseline,'found',sc.found,'false',sc.false_pauses,'rec %.2f prec %.2f ttp %.0f %.0f'%(sc.recall,sc.precision,sc.time_to_pause(50),sc.time_to_pause(90)),flush=True)
