-- Of repeated records the ones with other content.
SELECT * FROM repeated WHERE outcome = 'conflict'
