-- Of the candidates those that the line's meter takes into the line's group.
SELECT c.*
FROM candidates AS c
INNER JOIN line_dimensions AS d ON c.dimensions = d.dimensions
